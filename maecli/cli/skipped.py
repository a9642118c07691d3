"""How verbs that go on without some files tell of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from maecli.terminal import tell

MOST_TOLD = 1000
"""How many files a JSON answer names; the list on the disk has all."""


def skipped_json(skipped: Mapping[str, str], file: Path) -> dict[str, Any]:
    """Return what a JSON answer says of files that were left out: of very many the first, and where all are listed."""
    if len(skipped) <= MOST_TOLD:
        return {"skipped": dict(skipped)}
    first = dict(itertools.islice(skipped.items(), MOST_TOLD))
    return {"skipped": first, "num_skipped": len(skipped), "skipped_file": str(file)}


def exit_if_skipped(skipped: Mapping[str, str], file: Path) -> None:
    """Say how many files were left out and where they are listed, and exit with 3; do nothing where there are none."""
    if skipped:
        from maecli.training.finite import NOT_FINITE

        unreadable = not any(reason.startswith(NOT_FINITE) for reason in skipped.values())
        what = "could not be read" if unreadable else "were left out"
        tell(f"{len(skipped):,} files {what}; {file} says why")
        raise typer.Exit(3)
