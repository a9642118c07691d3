"""What a tracker promises."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from maecli.testing.finding import Checks, Finding, expect
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


class TrackerSubject:
    """A tracker under the eyes of the checks."""

    def __init__(self, plugin: type[Tracker], entry_module: str | None = None) -> None:
        """`entry_module` is what the entry point names, where there is one."""
        self.plugin, self.entry_module = plugin, entry_module or plugin.__module__

    def write(self, run_dir: Path, start_step: int = 0, until: int = 3) -> None:
        """Log what a run of some steps would, from `start_step` on."""
        tracker = self.plugin(run_dir, SPEC, start_step)
        for step, metrics in RECORDS:
            if start_step < step <= until:
                tracker.log(step, metrics)
        tracker.close()


CHECKS: Checks[TrackerSubject] = Checks()


def check_tracker(tracker: type[Tracker]) -> list[Finding]:
    """Return what every check finds on a tracker, which writes to a temporary run directory."""
    return CHECKS.find_all(TrackerSubject(tracker))


def _expected() -> dict[str, list[tuple[int, float]]]:
    history: dict[str, list[tuple[int, float]]] = {}
    for step, metrics in RECORDS:
        for name, value in metrics.items():
            history.setdefault(name, []).append((step, value))
    return history


@CHECKS.add()
def options(subject: TrackerSubject) -> None:
    """The class has a name and a docstring."""
    check_class(subject.plugin)


@CHECKS.add("options")
def logging(subject: TrackerSubject) -> None:
    """It opens, takes metrics and closes, and knows its run directory."""
    with tempfile.TemporaryDirectory() as folder:
        tracker = subject.plugin(Path(folder), SPEC, 0)
        for step, metrics in RECORDS:
            tracker.log(step, metrics)
        tracker.close()
        expect(
            getattr(tracker, "run_dir", None) == Path(folder),
            f"{subject.plugin.__name__} has no run_dir; call super().__init__(run_dir, spec, start_step), which keeps "
            "it for messages about a full disk",
        )


@CHECKS.add("logging")
def history(subject: TrackerSubject) -> None:
    """What it reads back of a run is what was logged, in order; or it reads nothing back."""
    with tempfile.TemporaryDirectory() as folder:
        subject.write(Path(folder))
        found = subject.plugin.history(Path(folder))
    expect(
        found in ({}, _expected()),
        f"history() of {subject.plugin.__name__} is {found}; return metric → [(step, value), …] as they were logged, "
        f"{_expected()}, or {{}} where nothing can be read back",
    )


@CHECKS.add("history")
def resuming(subject: TrackerSubject) -> None:
    """A run that goes on from step 1 replaces what was logged after it."""
    with tempfile.TemporaryDirectory() as folder:
        subject.write(Path(folder), until=2)
        subject.write(Path(folder), start_step=1)
        found = subject.plugin.history(Path(folder))
    expect(
        found in ({}, _expected()),
        f"after a run that was cut off at step 2 went on from step 1, history() of {subject.plugin.__name__} is "
        f"{found}; drop in __init__ what lies after start_step",
    )


@CHECKS.add("options")
def imports(subject: TrackerSubject) -> None:
    """The module is imported fast, and loads no heavy library."""
    check_import(subject.entry_module)
