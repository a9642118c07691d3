"""What was measured of a run, read once for its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from maecli.registry import Registry
from maecli.reports.payoff import Payoff
from maecli.results import Evaluation
from maecli.run.compare.kept import payoff_of
from maecli.run.directory import RunDirectory

TITLES = {"test": "Test", "folds": "Cross-validation", "val": "Validation", "train": "Training data"}
"""In the order of the page."""


@dataclass(frozen=True)
class Measured:
    """A run, and what its directory holds of measurements, in the order of the page."""

    run: RunDirectory
    registry: Registry

    @cached_property
    def _read(self) -> tuple[Sequence[Evaluation], Sequence[str]]:
        damaged: list[str] = []
        return evaluations_of(self.run, damaged.append), damaged

    @property
    def evaluations(self) -> Sequence[Evaluation]:
        return self._read[0]

    @property
    def damaged(self) -> Sequence[str]:
        """Sentences about records that cannot be read."""
        return self._read[1]

    @cached_property
    def payoff(self) -> Payoff | None:
        """The run beside the same from random weights, where that was made."""
        return payoff_of(self.run)

    @property
    def headline(self) -> Evaluation | None:
        return headline_of(self.evaluations)


def evaluations_of(run: RunDirectory, say: Callable[[str], None] = lambda _: None) -> list[Evaluation]:
    """Return the evaluations of a run: those of its task, then the probes; of each, test first. On other data: last."""
    order = tuple(TITLES)
    return sorted(run.evaluations(say), key=lambda one: (one.data is not None, bool(one.probe), order.index(one.split)))


def headline_of(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """Return the one that speaks for the run: of its own task and data, on test where that was read."""
    return next((one for one in evaluations if not one.probe and one.data is None and one.metrics), None)
