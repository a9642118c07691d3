"""Errors on hidden cells, beside those of trivial and classical imputers.

Shapes: N rows of a split, F cells, n rows to learn from, R resamples of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maecli import api

from .baselines import CHAINED, MOST_ROWS, NEIGHBOURS, Baselines
from .intervals import means_of, resampled
from .module import Imputer
from .scores import Rows, Scores, extent, moments
from .tables import by_column, by_imputer, by_scaler

if TYPE_CHECKING:
    from .task import Impute

MODEL = "this model"
MISSING, SEEN, HIDDEN = 0, 1, 2
"""What a cell was to the module."""
KEPT = ("pred", "truth", "state", "withheld")
"""What is kept of every row, the last one where the data set withholds cells."""


class Told(NamedTuple):
    """Rows (N, F) in units of the data as a module fills them and as they are, and what each cell was to it."""

    pred: Rows
    truth: Rows
    state: NDArray[np.int32]

    @property
    def known(self) -> Rows:
        """The rows as the module saw them, NaN where it saw nothing."""
        return np.where(self.state == SEEN, self.truth, np.nan)


class HiddenCells(api.Evaluator[Imputer]):
    """Truth and prediction of every cell; errors are taken of those that were hidden, when metrics are made."""

    of = ""
    """Which cells are hidden, in words."""
    with_intervals = True

    def __init__(self, task: Impute, ratio: float, slow: Collection[str] = (NEIGHBOURS, CHAINED)) -> None:
        """Hide each cell with the chance `ratio`, where the data set withholds none.

        These of the slow imputers stand beside; without any, what takes long is left out.
        """
        self.task, self.ratio, self.slow = task, ratio, slow

    def update(self, module: Imputer, batch: api.Batch) -> None:
        hidden, there = self.task.measured(batch, self.ratio), self.task.there(batch)
        pred, truth = self.task.rows(module, batch, hidden)
        rows = {"pred": pred, "truth": truth, "state": torch.where(hidden, HIDDEN, there.int() * SEEN)}
        withheld = self.task.withheld(batch)
        self.add_rows(batch.draws.ids, rows if withheld is None else {**rows, "withheld": withheld})
        if self.task.scale is not None:  # for whoever loads what was counted, and has seen no training rows
            self.add({"scale": self.task.scale, "batches": torch.ones(1)})

    def metrics(self) -> Sequence[api.Metric]:
        own = self._scores[MODEL]
        metrics = []
        if own.numbers:
            cells = f"hidden cells{self.of}, z-scored"
            metrics.append(self._metric("rmse", f"RMSE of {cells}", partial(Scores.rmse, places=own.numbers)))
            metrics.append(self._metric("mae", f"MAE of {cells}", partial(Scores.mae, places=own.numbers)))
        if own.categories:
            take = partial(Scores.accuracy, places=own.categories)
            metrics.append(self._metric("accuracy", "hidden categories that are right", take, "higher", "share"))
        if own.numbers and self.slow:
            label = f"Wasserstein distance of {cells}, mean over columns"
            metrics.append(self._metric("wasserstein", label, partial(Scores.wasserstein, places=own.numbers)))
        return [metric for metric in metrics if metric.name == self.task.monitor or self._is_told(metric)]

    def _is_told(self, metric: api.Metric) -> bool:
        """Whether anything was hidden of what a metric is of: numbers, or categories."""
        own = self._scores[MODEL]
        return bool(own.num[own.categories if metric.name == "accuracy" else own.numbers].any())

    def _metric(
        self,
        name: str,
        label: str,
        take: Callable[[Scores], float],
        better: Literal["lower", "higher"] = "lower",
        unit: Literal["share", ""] = "",
    ) -> api.Metric:
        values = {method: _number(take(scores)) for method, scores in self._scores.items()}
        metric = api.Metric(
            name=name,
            label=label,
            value=values.pop(MODEL),
            baselines=values,
            better=better,
            unit=unit,
            note=self._note,
        )
        measured = self.slow and self.with_intervals and len(self._told.truth) > 1
        if not (measured and name in self._drawn and self._is_told(metric)):
            return metric
        most = 1.0 if metric.unit == "share" else math.inf
        interval = api.measure.bootstrap_interval(metric.value, self._drawn[name], most)
        return metric.model_copy(update={"interval": interval})

    @property
    def _note(self) -> str:
        """Which cells are hidden, where the data set withheld them, and of which rows if not of all."""
        num, withheld = len(self._told.truth), self.task.card.withheld
        some = NEIGHBOURS in self._scores and num > MOST_ROWS
        rows = f"other imputers but the first: of {MOST_ROWS:,} of the {num:,} rows" if some else ""
        return "; ".join(filter(None, [withheld, rows]))

    def tables(self) -> Sequence[api.Table]:
        names, scores = self.task.names, self._scores
        made = [by_column(scores[MODEL], names, self._scale[1]), by_imputer(scores, names)]
        if scores[MODEL].num[scores[MODEL].numbers].any():
            in_extent = self._scores_by(*extent(self._whole, self.task.num_categories))
            made.append(by_scaler({"standard": scores, "minmax": in_extent}))
        return made

    def finding(self) -> str:
        """Return how far the error lies below that of the best of the others."""
        metric = self.metrics()[0]
        if not metric.beats_baselines:
            return ""
        if metric.name == "accuracy":
            name, baseline = max(metric.baselines.items(), key=lambda item: item[1])
            return f"of hidden categories {metric.value:.0%} are named right, beside {baseline:.0%} by the {name}"
        name, baseline = min(metric.baselines.items(), key=lambda item: item[1])
        return f"what is hidden is filled in with {1 - metric.value / baseline:.0%} less error than by the {name}"

    def difference(self, other: api.Evaluator[Imputer]) -> api.Difference | None:
        """Return how far the headline lies above that of another module, by resampling rows, the same for both."""
        pairs = {name: pair for name in KEPT if (pair := self.shared_rows(other, name)) is not None}
        if "pred" not in pairs or self.total("scale") is None:
            return None
        mine, theirs = (
            self._scores_of(told.pred, told, *self._scale).by_row()
            for told in (self._in_units({name: pair[i] for name, pair in pairs.items()}) for i in range(2))
        )
        name = self.task.monitor
        value = float(means_of(mine.sum(0))[name] - means_of(theirs.sum(0))[name])
        return api.measure.paired_bootstrap(value, resampled(mine)[name] - resampled(theirs)[name], len(mine))

    @cached_property
    def _told(self) -> Told:
        """What was told of the rows that were seen."""
        return self._in_units({name: rows for name in KEPT if (rows := self._kept(name)) is not None})

    def _kept(self, name: str) -> Tensor | None:
        return self.rows(name) if name in self.state() else None

    def _in_units(self, rows: Mapping[str, Tensor]) -> Told:
        """Return what rows (N, F) hold that were kept of batches."""
        if not rows:
            none = np.zeros((0, len(self.task.num_categories)))
            return Told(none, none, none.astype(np.int32))
        pred, truth = (self.task.in_units(rows[name].double().numpy()) for name in ("pred", "truth"))
        if "withheld" in rows:
            truth = self.task.with_withheld(truth, rows["withheld"].numpy())
        return Told(pred, truth, rows["state"].numpy())

    @property
    def _learned_from(self) -> Rows:
        """Rows (n, F) that others learn from."""
        return self._told.known if self.task.train_rows is None else self.task.train_rows

    @property
    def _whole(self) -> Rows:
        """Rows (n, F) by which errors are scaled: those that others learn from, with what was withheld of them."""
        return self._learned_from if self.task.whole_rows is None else self.task.whole_rows

    @cached_property
    def _scale(self) -> tuple[Rows, Rows]:
        """Mean and deviation of each cell (F,), of categories 0 and 1, as they were when rows were measured."""
        totals, num = self.total("scale"), self.total("batches")
        if totals is None or num is None:
            return moments(self._whole, self.task.num_categories)
        mean, deviation = (totals.double() / num).numpy()
        return mean, deviation

    @cached_property
    def _filled(self) -> Mapping[str, Rows]:
        """Rows (N, F) as each method fills them, in units of the data, the module's first."""
        baselines = Baselines(self._learned_from, self.task.num_categories)
        return {MODEL: self._told.pred, **baselines.filled(self._told.known, self.slow)}

    @cached_property
    def _scores(self) -> Mapping[str, Scores]:
        """What each method gets of z-scores, the module's first."""
        return self._scores_by(*self._scale)

    def _scores_by(self, least: Rows, span: Rows) -> Mapping[str, Scores]:
        """Return what each method gets of cells less `least` over `span` (F,)."""
        return {name: self._scores_of(rows, self._told, least, span) for name, rows in self._filled.items()}

    def _scores_of(self, filled: Rows, told: Told, least: Rows, span: Rows) -> Scores:
        truth = (told.truth - least) / span
        return Scores((filled - least) / span, truth, told.state == HIDDEN, self.task.num_categories)

    @cached_property
    def _drawn(self) -> Mapping[str, Rows]:
        """Metrics of the module (R,) in resamples of the rows."""
        return resampled(self._scores[MODEL].by_row())


class HeldOutCells(HiddenCells):
    """Errors on cells that are hidden in a person's own rows, beside those of who learns from these rows alone.

    Metrics of numbers are there only where a number was hidden, and of categories where one was.
    """

    with_intervals = False

    def __init__(self, task: Impute, ratio: float) -> None:
        super().__init__(task, ratio, slow=(NEIGHBOURS,))
        self.of = f" ({ratio:.0%} of those that are there)"

    @property
    def _learned_from(self) -> Rows:
        others = self.task.train_rows
        return self._told.known if others is None else np.concatenate([others, self._told.known])

    @cached_property
    def _scale(self) -> tuple[Rows, Rows]:
        return moments(self._learned_from, self.task.num_categories)

    def metrics(self) -> Sequence[api.Metric]:
        return [metric for metric in super().metrics() if self._is_told(metric)]


def _number(value: float) -> float:
    """Return a finite number: 0 where nothing was hidden."""
    return 0.0 if np.isnan(value) else value
