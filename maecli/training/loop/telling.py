"""What a person sees of training while it runs: how far it is, how fast, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Mapping

from maecli.modalities.preprocess import Preprocess
from maecli.progress import BETWEEN, Progress, duration
from maecli.results import Metric
from maecli.schema import RunSpec
from maecli.training.loop.clock import Clock
from maecli.training.loop.pace import Durations, Pace
from maecli.training.loop.schedule import Schedule


class Telling:
    """Measures where the time of a run goes, and tells it."""

    def __init__(self, spec: RunSpec, schedule: Schedule, preprocess: Preprocess, saves: bool, progress: Progress):
        self._spec, self._schedule, self._saves, self.progress = spec, schedule, saves, progress
        self._per_s = f"{preprocess.modality.unit}/s"
        self.clock = Clock()
        self.pace = Pace(schedule.validation_steps)
        self._told: list[str] = []
        """What was last read of the loss, the speed and the wait for data."""

    def expect(self, planned: Durations) -> None:
        """Tell the remaining time by what a plan measured, until it is measured here."""
        self.pace = Pace(self._schedule.validation_steps, planned)

    def lap(self, loss: float) -> tuple[float, float]:
        """Note a mean loss; return samples per second and the share of time that data were waited for."""
        samples_per_s, wait_share = self.clock.lap()
        speed = f"{samples_per_s:,.0f} {self._per_s}"
        self._told = [f"loss {loss:.4f}", speed, f"waiting for data {wait_share:.0%}"]
        return samples_per_s, wait_share

    def show(self, step: int, *doing: str) -> None:
        """Show how far training has come, what is done now, and how long the rest of it takes."""
        left, total = self._seconds_left(step), self._schedule.total_steps
        if left is None and self.progress.bar is None:
            return
        most = "at most " if self._spec.train.patience is not None else ""
        remaining = f"{most}{duration(left)} left" if left is not None else "the first steps"
        parts = [self._epochs(step), remaining, *doing, *self._told]
        line = f"step {step:,} of {total:,}" + BETWEEN + BETWEEN.join(parts)
        self.progress.update(step, total, parts, line, phase="training")

    def show_doing(self, step: int, doing: str) -> None:
        """Show what takes longer than a step, where that does not take a line of its own."""
        if self.progress.bar is not None:
            self.show(step, doing)

    def say_validation(self, step: int, metrics: Mapping[str, Metric]) -> None:
        measured = ", ".join(f"{metric.label} {metric.value:.4f}" for metric in list(metrics.values())[:2])
        told = "; ".join([*self._told[:1], f"validation {measured}"])
        self.progress.say(f"{self._epochs(step)}: {told}")

    def _epochs(self, step: int) -> str:
        return f"epoch {self._schedule.epoch(step)} of {self._spec.train.epochs}"

    def _seconds_left(self, step: int) -> float | None:
        """Return how long the rest takes by what was measured, with the measuring on validation at the end."""
        validations, saves = self._schedule.num_left(max(0, step - 1))  # what is due now is still to come
        return self.pace.remaining(self._schedule.total_steps - step, validations, saves if self._saves else 0)
