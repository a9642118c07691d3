"""The folder that inference writes: what it held is replaced when everything new is there, and not before."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from maecli.errors import SpecError
from maecli.runs.skipped import SKIPPED
from maecli.storage.files import disk_errors

CSV, JSONL, RECORD = "predictions.csv", "predictions.jsonl", "infer.json"
FILES = "files"
"""Folder of what was written for each input."""
STAGE = ".infer.tmp"
"""Folder inside the outputs, and so on their disk, that is filled first; being killed may leave it behind."""


@contextlib.contextmanager
def new_outputs(out: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to fill; what it holds at the end takes the place of the predictions in `out`.

    Raises SpecError when `out` is not empty and `overwrite` is not asked for, or when it holds anything else. When the
    block raises, `out` is as it was.
    """
    _check(out, overwrite)
    made = not out.exists()
    stage = out / STAGE
    with disk_errors(out):
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
    try:
        yield stage
        with disk_errors(out):
            _swap(stage, out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made and not any(out.iterdir()):
            out.rmdir()


def _check(out: Path, overwrite: bool) -> None:
    names = {entry.name for entry in out.iterdir()} - {STAGE} if out.is_dir() else set()
    if not names:
        return
    if not overwrite:
        raise SpecError(f"{out} is not empty; use --overwrite to replace its predictions, or another --out")
    # The files of predictions are asked for, so that a folder of pictures called "files" is not taken for ours.
    if not {CSV, JSONL} <= names <= _written(out):
        raise SpecError(f"{out} holds other things than predictions, so --overwrite does not touch it")


def _written(out: Path) -> set[str]:
    """Return the names that an inference into `out` may have written, drawings as its record tells."""
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        drawings = {str(each["file"]) for each in record["pictures"]}
    except (OSError, ValueError, KeyError, TypeError):
        drawings = set()
    return {CSV, JSONL, SKIPPED, RECORD, FILES} | drawings


def _swap(stage: Path, out: Path) -> None:
    """Move the new outputs to their place; each file is replaced at one stroke, the folder of files by two."""
    new = {entry.name for entry in stage.iterdir()}
    old = {entry.name for entry in out.iterdir()} - {STAGE}
    if FILES in old:
        (out / FILES).rename(stage / f"old {FILES}")
    for name in sorted(new):
        (stage / name).replace(out / name)
    for name in old - new - {FILES}:
        (out / name).unlink()
