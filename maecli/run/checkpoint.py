"""Which checkpoint a path means, and how it is read beside a run that is being trained."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from maecli.errors import SpecError, nearest
from maecli.run.directory import SPEC, RunDirectory
from maecli.training.checkpoint import MODEL, Checkpoint, DamagedCheckpoint
from maecli.weights.file_names import CONFIG, SUFFIXES

POINTERS = ("last", "best")
T = TypeVar("T")


def find_checkpoint(path: Path, checkpoint: str = "last") -> Checkpoint:
    """Return the checkpoint that a path means: the last or best of a run directory, a checkpoint folder, or its file.

    Raises SpecError when the path is none of these, MaeError when the run has no such checkpoint yet.
    """
    if checkpoint not in POINTERS:
        raise SpecError(f"checkpoint {checkpoint!r} is none of {', '.join(POINTERS)}{nearest(checkpoint, POINTERS)}")
    path = path.expanduser()
    if path.name == MODEL:
        path = path.parent
    if (path / CONFIG).is_file() or (path.is_file() and path.suffix in SUFFIXES):
        raise SpecError(
            f"{path} holds weights without a run of mae; mae pretrain and mae finetune start from them by --init"
        )
    if (path / MODEL).is_file():
        return Checkpoint(path)
    if not path.exists():
        raise SpecError(f"{path} does not exist; give a run directory or a checkpoint folder")
    run = RunDirectory(path)
    if not (path / SPEC).exists() and not run.is_run:
        raise SpecError(f"{path} is neither a run directory nor a checkpoint: it has no {SPEC} and no {MODEL}")
    return run.checkpoints.current(checkpoint)


def run_of(path: Path) -> RunDirectory | None:
    """Return the run that a path names, by its directory, a checkpoint in it or the file of that; None without one."""
    places = (path, *list(path.parents)[1:3])
    return next((RunDirectory(place) for place in places if (place / SPEC).is_file()), None)


def read_checkpoint(path: Path, checkpoint: str, read: Callable[[Checkpoint], T]) -> T:
    """Return what `read` makes of the checkpoint that a path means; see `find_checkpoint`.

    A run that is being trained may remove a checkpoint while it is read: then the one after it is taken.
    """
    current = find_checkpoint(path, checkpoint)
    for pause_s in (0.0, 0.1, 0.2, 0.5, 1.0):
        try:
            return read(current)
        except DamagedCheckpoint:
            time.sleep(pause_s)
            newest = find_checkpoint(path, checkpoint)
            if newest == current and newest.expected == current.expected and pause_s:
                raise
            current = newest
    return read(current)
