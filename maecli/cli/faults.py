"""How verbs that go on without some files tell of them."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import typer

from maecli.errors import Fault
from maecli.terminal import tell

MOST_TOLD = 1000
"""How many files a JSON answer names; the list on the disk has all."""


def skipped_json(faults: Collection[Fault], file: Path) -> dict[str, Any]:
    """Return what a JSON answer says of files that were left out: of very many the first, and where all are listed."""
    skipped = {fault.path: fault.reason for fault in itertools.islice(faults, MOST_TOLD)}
    if len(faults) <= MOST_TOLD:
        return {"skipped": skipped}
    return {"skipped": skipped, "num_skipped": len(faults), "skipped_file": str(file)}


def exit_if_skipped(faults: Collection[Fault], file: Path) -> None:
    """Say how many files were left out and where they are listed, and exit with 3; do nothing where there are none."""
    if faults:
        from maecli.training.finite import NOT_FINITE

        unreadable = not any(fault.reason.startswith(NOT_FINITE) for fault in faults)
        what = "could not be read" if unreadable else "were left out"
        tell(f"{len(faults):,} files {what}; {file} says why")
        raise typer.Exit(3)
