"""Errors of predicted numbers, in their units, beside those of trivial predictions.

Shapes: B batch, N samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maecli import api

from ..pooled.boosted_trees import NAME as TREES
from . import intervals

if TYPE_CHECKING:
    from .task import Regress

MODEL, TRUTH = "model", "truth"
MEAN, MEDIAN = "mean of training", "median of training"
PARTS = 5
"""Of the samples, by the size of the true number, in the table."""
Numbers = NDArray[np.float64]


class NumberErrors(api.Evaluator[api.nets.Classifier]):
    """The true and the predicted number of each sample, and what trees make of it where samples are rows."""

    def __init__(self, task: Regress, thorough: bool = True) -> None:
        self.task, self.thorough = task, thorough

    def update(self, module: api.nets.Classifier, batch: api.Batch) -> None:
        rows = {TRUTH: batch["target"].flatten(1)[:, 0].float(), MODEL: self.task.numbers(module, batch)}
        trees = self.task.trees.predict(batch) if self.task.trees is not None and self.thorough else None
        if trees is not None:
            rows[TREES] = trees
        self.add_rows(batch.draws.ids, rows)

    def _known(self) -> dict[str, Numbers]:
        """Return the numbers (N,) of the samples whose true one is known, by who said them."""
        told = {name: rows for name in (TRUTH, MODEL, TREES) if (rows := self._numbers(name)) is not None}
        if not told:
            return {TRUTH: np.zeros(0), MODEL: np.zeros(0)}
        known = ~np.isnan(told[TRUTH])
        return {name: rows[known] for name, rows in told.items()}

    def _numbers(self, name: str) -> Numbers | None:
        rows = self.rows(name) if name in self.state() else None
        return None if rows is None else rows.double().numpy()

    def metrics(self) -> Sequence[api.Metric]:
        told, task = self._known(), self.task
        truth = told.pop(TRUTH)
        guesses = {MEAN: np.full(len(truth), task.mean), MEDIAN: np.full(len(truth), task.median), **told}
        errors = {by: guess - truth for by, guess in guesses.items()}
        squares = {by: error**2 for by, error in errors.items()}
        sizes = {by: np.abs(error) for by, error in errors.items()}
        unit, several = f"in units of {task.name_of_target}", len(truth) > 1
        metrics = [
            _metric("rmse", "RMSE", squares, _root, intervals.of_rmse(squares[MODEL]) if several else None, unit),
            _metric("mae", "MAE", sizes, _mean, intervals.of_mean(sizes[MODEL]) if several else None, unit),
        ]
        if several and (variance := float(truth.var())) > 0:
            interval = intervals.of_r2(squares[MODEL], truth)
            r2 = _metric("r2", "R²", squares, lambda each: 1 - _mean(each) / variance, interval)
            metrics.append(r2.model_copy(update={"better": "higher"}))
        return metrics

    def difference(self, other: api.Evaluator[api.nets.Classifier]) -> api.Difference | None:
        """Return how far the RMSE lies above that of another module, by resampling samples, the same ones for both."""
        truths, numbers = self.shared_rows(other, TRUTH), self.shared_rows(other, MODEL)
        if truths is None or numbers is None:
            return None
        truth = truths[0].double().numpy()
        known = ~np.isnan(truth)
        if not known.any():
            return None
        mine, theirs = (((each.double().numpy() - truth)[known]) ** 2 for each in numbers)
        resampled = np.sqrt(resampled_means(mine)) - np.sqrt(resampled_means(theirs))
        return api.measure.paired_bootstrap(_root(mine) - _root(theirs), resampled, int(known.sum()))

    def finding(self) -> str:
        """Return how far predictions are off, beside the mean of training, and whether trees do better."""
        told = self._known()
        truth = told.pop(TRUTH)
        if not len(truth):
            return ""
        off = {by: _root((guess - truth) ** 2) for by, guess in told.items()}
        trivial = _root((self.task.mean - truth) ** 2)
        words = f"{self.task.name_of_target} is predicted with an RMSE of {_number(off[MODEL])}"
        if off[MODEL] < trivial:
            words += f", {1 - off[MODEL] / trivial:.0%} less than by its mean"
        if TREES in off:
            how = "are better" if off[TREES] < off[MODEL] else "do not do better"
            words += f"; {TREES} on the same rows {how} ({_number(off[TREES])})"
        return words

    def tables(self) -> Sequence[api.Table]:
        told = self._known()
        truth, error = told[TRUTH], told[MODEL] - told[TRUTH]
        parts = np.array_split(np.argsort(truth, kind="stable"), min(PARTS, len(truth))) if len(truth) else []
        rows = tuple(
            (
                *(float(truth[place]) for place in (part[0], part[-1])),
                len(part),
                *(_root(error[part] ** 2), _mean(np.abs(error[part])), _mean(error[part])),
            )
            for part in parts
        )
        columns = ("from", "to", self.task.preprocess.modality.unit, "RMSE", "MAE", "mean error")
        return [api.Table(title=f"By true {self.task.name_of_target}", columns=columns, rows=rows)] if rows else []

    def drawings(self) -> Sequence[api.Drawing]:
        told = self._known()
        if len(told[TRUTH]) < 2:
            return []
        png = api.draw.predicted_by_true(told[TRUTH], told[MODEL], self.task.name_of_target)
        caption = f"Each point is a {self.task.preprocess.modality.one}; on the line the prediction is the true number."
        return [api.Drawing(name="predicted-by-true", caption=caption, png=png)]


def _metric(
    name: str,
    label: str,
    errors: Mapping[str, Numbers],
    summed: Callable[[Numbers], float],
    interval: intervals.Interval | None,
    note: str = "",
) -> api.Metric:
    """Return what errors (N,), by who made them, come to; smaller ones are better."""
    values = {by: summed(each) for by, each in errors.items()}
    value = values.pop(MODEL)
    return api.Metric(
        name=name, label=label, value=value, better="lower", baselines=values, interval=interval, note=note
    )


def resampled_means(values: Numbers) -> Numbers:
    """Return the means (R,) of values (N,) in resamples, which are the same for values of the same number."""
    random = np.random.default_rng(0)
    num = len(values)
    return np.array([values[random.integers(0, num, num)].mean() for _ in range(api.measure.RESAMPLES)])


def _mean(values: Numbers) -> float:
    return float(values.mean()) if len(values) else 0.0


def _root(squares: Numbers) -> float:
    return _mean(squares) ** 0.5


def _number(value: float) -> str:
    """Return a positive number to four digits, as people write it."""
    decimals = 3 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{min(max(decimals, 0), 12)}f}"
