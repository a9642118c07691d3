"""How well a part of what a person's own samples hold is told from the rest of them, before anything is filled in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from maecli.data.sample import Split
from maecli.results import Metric, Table
from maecli.run.restore import Restored, load_files
from maecli.text import capitalised, number_of
from maecli.training.evaluation import fit_baselines, measure

MOST_HELD_OUT = 2_000
"""Samples that are tried, evenly spaced."""
LEARNT = "the run learnt from some of them, and new ones may be worse"
FEWEST_NEW = 100
"""Of samples that were not learnt from; of fewer, all are tried."""


@dataclass(frozen=True)
class HeldOut:
    """What came out; nothing where a task has nothing to try."""

    metrics: tuple[Metric, ...] = ()
    samples: str = ""
    """How many were tried, in words."""
    learned_from: bool = False
    """Whether the run has learnt from some of them."""

    def lines(self) -> Iterator[str]:
        """Yield what is to be said: each metric beside its baselines, and which of them are better."""
        if not self.metrics:
            return
        caution = f"; {LEARNT}" if self.learned_from else ""
        yield f"{self._tried()}{caution}"
        for metric in self.metrics:
            others = ", ".join(f"{name} {_number(metric, value)}" for name, value in metric.baselines.items())
            yield f"{metric.label}: {_number(metric, metric.value)}" + (f" ({others})" if others else "")
        yield from self.shortfalls()

    def shortfalls(self) -> Iterator[str]:
        """Yield by which metrics which baselines are as good, or better."""
        for metric in self.metrics:
            if metric.beats_baselines is False:
                yield f"not better here than {' or '.join(_better(metric))}, by {metric.label}"

    def table(self) -> Table | None:
        """Return the metrics, each beside its baselines; None where there are none."""
        if not self.metrics:
            return None
        names = list(dict.fromkeys(name for metric in self.metrics for name in metric.baselines))
        rows = tuple(
            (
                metric.label,
                _number(metric, metric.value),
                *(_number(metric, metric.baselines[name]) if name in metric.baselines else "" for name in names),
            )
            for metric in self.metrics
        )
        return Table(title=capitalised(self._tried()), columns=("", "this run", *names), rows=rows)

    def _tried(self) -> str:
        return f"tried on {self.samples} of yours first"

    def record(self) -> dict[str, Any]:
        """Return what a record of the inference holds of it."""
        if not self.metrics:
            return {}
        metrics = [metric.model_dump(mode="json") for metric in self.metrics]
        return {"held_out": {"samples": self.samples, "learned_from": self.learned_from, "metrics": metrics}}


def hold_out(
    restored: Restored, split: Split, learned: Collection[str], batch_size: int, workers: int | None
) -> HeldOut:
    """Return how well a run tells a part of what samples hold; of those that it has not learnt from, if there are any.

    `learned` are the keys of samples that the run was trained on. Samples that cannot be read are passed over.
    """
    task, unit = restored.task, restored.preprocess.modality
    evaluator = task.hold_out()
    if evaluator is None:
        return HeldOut()
    keys = split.keys
    new = [index for index, key in enumerate(keys) if key not in learned]
    tried = _evenly(new if len(new) >= FEWEST_NEW else range(len(keys)), MOST_HELD_OUT)
    others = _evenly(sorted(set(range(len(keys))).difference(tried)), task.baseline_samples)
    loaders = [
        load_files(split.view(ids), restored, lambda _: None, batch_size=batch_size, workers=workers)
        for ids in (others, tried)
    ]
    if others:
        fit_baselines(task, loaders[0], batch_size)
    measure(task, restored.module, loaders[1], batch_size, restored.dtype, evaluator=evaluator)
    samples = number_of(len(tried), unit.one, unit.unit)
    return HeldOut(tuple(evaluator.metrics()), samples, any(keys[index] in learned for index in tried))


def _evenly(ids: Sequence[int], most: int) -> Sequence[int]:
    """Return at most so many of some positions, evenly spaced."""
    return ids if len(ids) <= most else [ids[place * len(ids) // most] for place in range(most)]


def _better(metric: Metric) -> Iterator[str]:
    """Yield the names of the baselines that are as good as the metric, or better."""
    sign = 1 if metric.better == "higher" else -1
    yield from (name for name, value in metric.baselines.items() if sign * value >= sign * metric.value)


def _number(metric: Metric, value: float) -> str:
    return f"{value:.1%}" if metric.unit == "share" else f"{value:.4g}"
