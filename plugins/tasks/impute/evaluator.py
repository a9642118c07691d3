"""Errors on hidden cells by column, beside those of trivial and classical imputers.

Shapes: N rows of a split, F cells, n rows to learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from maecli import api

from .baselines import CHAINED, MOST_ROWS, NEIGHBOURS, Baselines
from .module import Imputer
from .scores import Rows, Scores

if TYPE_CHECKING:
    from .task import Impute

MODEL = "this model"
MISSING, SEEN, HIDDEN = 0, 1, 2
"""What a cell was to the module."""


class HiddenCells(api.Evaluator[Imputer]):
    """Truth and prediction of every cell; errors are taken of those that were hidden, when metrics are made."""

    of = ""
    """Which cells are hidden, in words."""

    def __init__(self, task: Impute, ratio: float, slow: Collection[str] = (NEIGHBOURS, CHAINED)) -> None:
        """Hide each cell with the chance `ratio`, where the data set withholds none.

        These of the slow imputers stand beside.
        """
        self.task, self.ratio, self.slow = task, ratio, slow

    def update(self, module: Imputer, batch: api.Batch) -> None:
        hidden, there = self.task.measured(batch, self.ratio), self.task.there(batch)
        pred, truth = self.task.rows(module, batch, hidden)
        rows = {"pred": pred, "truth": truth, "state": torch.where(hidden, HIDDEN, there.int() * SEEN)}
        withheld = self.task.withheld(batch)
        self.add_rows(batch.draws.ids, rows if withheld is None else {**rows, "withheld": withheld})

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
        value = values.pop(MODEL)
        return api.Metric(
            name=name, label=label, value=value, baselines=values, better=better, unit=unit, note=self._note
        )

    @property
    def _note(self) -> str:
        """Which cells are hidden, where the data set withheld them, and of which rows if not of all."""
        num, withheld = len(self._truth), self.task.card.withheld
        some = NEIGHBOURS in self._scores and num > MOST_ROWS
        rows = f"nearest rows and regression: of {MOST_ROWS:,} of the {num:,} rows" if some else ""
        return "; ".join(filter(None, [withheld, rows]))

    def tables(self) -> Sequence[api.Table]:
        own, methods = self._scores[MODEL], list(self._scores)
        columns: list[tuple[str | int | float, ...]] = []
        compared: list[tuple[str | int | float, ...]] = []
        for place in np.flatnonzero(own.num).tolist():
            name, here = self.task.names[place], [place]
            if place in own.categories:
                shares = [of.accuracy(here) for of in self._scores.values()]
                columns.append((name, int(own.num[place]), "", "", "", "", "", _short(shares[0])))
                compared.append((name, "accuracy", *map(_short, shares)))
                continue
            rmse, mae, scale = own.rmse(here), own.mae(here), float(self._scale[1][place])
            errors = (rmse, mae, own.wasserstein(here), rmse * scale, mae * scale)
            columns.append((name, int(own.num[place]), *map(_short, errors), ""))
            compared.append((name, "RMSE, z-scored", *(_short(of.rmse(here)) for of in self._scores.values())))
        errors_of = (
            "RMSE, z-scored",
            "MAE, z-scored",
            "Wasserstein distance, z-scored",
            "RMSE, in units",
            "MAE, in units",
        )
        return [
            api.Table(
                title="Hidden cells, by column",
                columns=("column", "hidden cells", *errors_of, "accuracy"),
                rows=tuple(columns),
            ),
            api.Table(
                title="Hidden cells, by column and imputer", columns=("column", "of", *methods), rows=tuple(compared)
            ),
        ]

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

    @cached_property
    def _state(self) -> NDArray[np.int32]:
        """What each cell (N, F) was to the module."""
        state = self.rows("state")
        num = len(self.task.num_categories)
        return np.zeros((0, num), np.int32) if state is None else state.numpy()

    @cached_property
    def _truth(self) -> Rows:
        """Rows (N, F) as they are, in units of the data."""
        truth = self._in_units("truth")
        withheld = self.rows("withheld") if "withheld" in self.state() else None
        return truth if withheld is None else self.task.with_withheld(truth, withheld.numpy())

    def _in_units(self, name: str) -> Rows:
        rows = self.rows(name)
        none = np.zeros((0, len(self.task.num_categories)))
        return none if rows is None else self.task.in_units(rows.double().numpy())

    @property
    def _known(self) -> Rows:
        """Rows (N, F) as the module saw them, NaN where it saw nothing."""
        return np.where(self._state == SEEN, self._truth, np.nan)

    @property
    def _learned_from(self) -> Rows:
        """Rows (n, F) that others learn from."""
        return self._known if self.task.train_rows is None else self.task.train_rows

    @property
    def _whole(self) -> Rows:
        """Rows (n, F) of which mean and deviation are taken: those that others learn from, with what was withheld."""
        return self._learned_from if self.task.whole_rows is None else self.task.whole_rows

    @cached_property
    def _scale(self) -> tuple[Rows, Rows]:
        """Mean and deviation of each cell (F,), of categories 0 and 1."""
        return moments(self._whole, self.task.num_categories)

    def _scored(self, rows: Rows) -> Rows:
        return (rows - self._scale[0]) / self._scale[1]

    @cached_property
    def _scores(self) -> Mapping[str, Scores]:
        """What each method gets, the module's first."""
        num, truth, hidden = self.task.num_categories, self._scored(self._truth), self._state == HIDDEN
        baselines = Baselines(self._scored(self._learned_from), num)
        methods = {
            MODEL: self._scored(self._in_units("pred")),
            **baselines.filled(self._scored(self._known), self.slow),
        }
        return {name: Scores(rows, truth, hidden, num) for name, rows in methods.items()}


class HeldOutCells(HiddenCells):
    """Errors on cells that are hidden in a person's own rows, beside those of who learns from these rows alone.

    Metrics of numbers are there only where a number was hidden, and of categories where one was.
    """

    def __init__(self, task: Impute, ratio: float) -> None:
        super().__init__(task, ratio, slow=(NEIGHBOURS,))
        self.of = f" ({ratio:.0%} of those that are there)"

    @property
    def _learned_from(self) -> Rows:
        others = self.task.train_rows
        return self._known if others is None else np.concatenate([others, self._known])

    @property
    def _whole(self) -> Rows:
        return self._learned_from

    def metrics(self) -> Sequence[api.Metric]:
        return [metric for metric in super().metrics() if self._is_told(metric)]


def moments(rows: Rows, num_categories: Sequence[int]) -> tuple[Rows, Rows]:
    """Return mean and deviation of each cell (F,) of rows (n, F), NaN for nothing; of categories 0 and 1.

    A column that is everywhere the same, or of which nothing is known, has a deviation of 1.
    """
    mean, std = np.zeros(len(num_categories)), np.ones(len(num_categories))
    for place, num in enumerate(num_categories):
        there = rows[:, place][~np.isnan(rows[:, place])]
        if not num and len(there):
            mean[place], std[place] = there.mean(), there.std() or 1.0
    return mean, std


def _number(value: float) -> float:
    """Return a finite number: 0 where nothing was hidden."""
    return 0.0 if np.isnan(value) else value


def _short(value: float) -> float | str:
    """Return a number of four digits; n/a where there is none."""
    return "n/a" if np.isnan(value) else float(f"{value:.4g}")
