"""What a tracker promises."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from maecli.testing.finding import Finding, Stages, expect, find_all
from maecli.testing.imports import imports
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


class TrackerSubject:
    """A tracker that is looked at."""

    def __init__(self, plugin: type[Tracker]) -> None:
        self.plugin = plugin

    def write(self, run_dir: Path, start_step: int = 0, until: int = 3) -> Tracker:
        """Log what a run of some steps would, from `start_step` on; return the tracker, which is closed."""
        writer = self.plugin(run_dir, SPEC, start_step)
        for step, metrics in RECORDS:
            if start_step < step <= until:
                writer.log(step, metrics)
        writer.close()
        return writer

    def history(self, *attempts: tuple[int, int]) -> dict[str, list[tuple[int, float]]]:
        """Return what is read back of a run that was made from one step to another, once or more often."""
        with tempfile.TemporaryDirectory() as folder:
            for start_step, until in attempts:
                self.write(Path(folder), start_step, until)
            return self.plugin.history(Path(folder))


def options(subject: TrackerSubject) -> None:
    """The class has a name and a docstring."""
    check_class(subject.plugin)


def logging(subject: TrackerSubject) -> None:
    """It opens, takes metrics and closes, and knows its run directory."""
    with tempfile.TemporaryDirectory() as folder:
        writer = subject.write(Path(folder))
    expect(
        getattr(writer, "run_dir", None) == Path(folder),
        f"{subject.plugin.__name__} has no run_dir; call super().__init__(run_dir, spec, start_step), which keeps it "
        "for messages about a full disk",
    )


def history(subject: TrackerSubject) -> None:
    """What it reads back of a run is what was logged, in order; or it reads nothing back."""
    metrics = subject.history((0, 3))
    expect(
        metrics in ({}, EXPECTED),
        f"history() of {subject.plugin.__name__} is {metrics}; return metric → [(step, value), …] as they were logged, "
        f"{EXPECTED}, or {{}} where nothing can be read back",
    )


def resuming(subject: TrackerSubject) -> None:
    """A run that goes on from step 1 replaces what was logged after it."""
    metrics = subject.history((0, 2), (1, 3))
    expect(
        metrics in ({}, EXPECTED),
        f"after a run that was cut off at step 2 went on from step 1, history() of {subject.plugin.__name__} is "
        f"{metrics}; drop in __init__ what lies after start_step",
    )


STAGES: Stages = ((options, imports), (logging,), (history,), (resuming,))


def check_tracker(tracker: type[Tracker]) -> list[Finding]:
    """Return a finding for each promise of a tracker, which writes to temporary run directories."""
    return find_all(STAGES, TrackerSubject(tracker))
