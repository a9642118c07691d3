"""What a tracker promises."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from maecli.testing.finding import Finding, Stages, expect, find_all
from maecli.testing.imports import check_import
from maecli.testing.options import check_class
from maecli.training.tracker import Tracker

RECORDS: tuple[tuple[int, Mapping[str, float]], ...] = (
    (1, {"train/loss": 2.0, "train/lr": 1e-3}),
    (2, {"train/loss": 1.5, "train/lr": 5e-4}),
    (2, {"val/top1": 0.5}),
    (3, {"train/loss": 1.25, "train/lr": 0.0}),
)
SPEC: Mapping[str, object] = {"verb": "pretrain", "seed": 0, "train": {"epochs": 1}}


EXPECTED: Mapping[str, list[tuple[int, float]]] = {
    "train/loss": [(1, 2.0), (2, 1.5), (3, 1.25)],
    "train/lr": [(1, 1e-3), (2, 5e-4), (3, 0.0)],
    "val/top1": [(2, 0.5)],
}
"""What is read back of `RECORDS`."""


def options(tracker: type[Tracker]) -> None:
    """The class has a name and a docstring."""
    check_class(tracker)


def logging(tracker: type[Tracker]) -> None:
    """It opens, takes metrics and closes, and knows its run directory."""
    with tempfile.TemporaryDirectory() as folder:
        writer = _write(tracker, Path(folder))
        expect(
            getattr(writer, "run_dir", None) == Path(folder),
            f"{tracker.__name__} has no run_dir; call super().__init__(run_dir, spec, start_step), which keeps it for "
            "messages about a full disk",
        )


def history(tracker: type[Tracker]) -> None:
    """What it reads back of a run is what was logged, in order; or it reads nothing back."""
    with tempfile.TemporaryDirectory() as folder:
        _write(tracker, Path(folder))
        metrics = tracker.history(Path(folder))
    expect(
        metrics in ({}, EXPECTED),
        f"history() of {tracker.__name__} is {metrics}; return metric → [(step, value), …] as they were logged, "
        f"{EXPECTED}, or {{}} where nothing can be read back",
    )


def resuming(tracker: type[Tracker]) -> None:
    """A run that goes on from step 1 replaces what was logged after it."""
    with tempfile.TemporaryDirectory() as folder:
        _write(tracker, Path(folder), until=2)
        _write(tracker, Path(folder), start_step=1)
        metrics = tracker.history(Path(folder))
    expect(
        metrics in ({}, EXPECTED),
        f"after a run that was cut off at step 2 went on from step 1, history() of {tracker.__name__} is {metrics}; "
        "drop in __init__ what lies after start_step",
    )


def _write(tracker: type[Tracker], run_dir: Path, start_step: int = 0, until: int = 3) -> Tracker:
    """Log what a run of some steps would, from `start_step` on; return the tracker, which is closed."""
    writer = tracker(run_dir, SPEC, start_step)
    for step, metrics in RECORDS:
        if start_step < step <= until:
            writer.log(step, metrics)
    writer.close()
    return writer


def imports(tracker: type[Tracker]) -> None:
    """The module is imported fast, and loads no heavy library."""
    check_import(tracker.__module__)


STAGES: Stages = ((options, imports), (logging,), (history,), (resuming,))


def check_tracker(tracker: type[Tracker]) -> list[Finding]:
    """Return a finding for each promise of a tracker, which writes to temporary run directories."""
    return find_all(STAGES, tracker)
