"""What imputations are compared with: the mean or the most frequent category, neighbours, and chained regressions.

Shapes: n rows to learn from, N rows to fill, F cells, D numbers of a row: a z-score, or one for each category.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from .scores import Rows

SIMPLE, NEIGHBOURS, CHAINED = "mean or most frequent", "10 nearest rows", "iterative regression"
NUM_NEIGHBOURS, ROUNDS = 10, 10
"""As many as in the public figures for California, and as scikit-learn's default."""
MOST_ROWS = 5_000
"""Rows that the two slow ones fill, evenly spaced: their time grows as these times the rows that they learn from."""
MOST_NUMBERS = 60
"""Of a row, beyond which regressing each on all others takes many minutes: it is left out."""


class Baselines:
    """Trivial and classical imputers that learn from rows (n, F) of z-scores and numbers of categories."""

    def __init__(self, known: Rows, num_categories: Sequence[int]) -> None:
        """Take rows, NaN for nothing, and how many categories each cell can have: 0 is a number."""
        self.known, self.num_categories = known, num_categories

    def simple(self) -> Rows:
        """Return for each cell (F,) the mean, or the most frequent category; 0 where nothing is known."""
        values = np.zeros(len(self.num_categories))
        for place, num in enumerate(self.num_categories):
            there = self.known[:, place][~np.isnan(self.known[:, place])]
            if len(there):
                values[place] = np.bincount(there.astype(int), minlength=num).argmax() if num else there.mean()
        return values

    def filled(self, rows: Rows, slow: Collection[str] = (NEIGHBOURS, CHAINED)) -> Mapping[str, Rows]:
        """Return rows (N, F) as each method fills them, NaN where the `slow` ones that are asked for fill none."""
        made = {SIMPLE: np.broadcast_to(self.simple(), rows.shape)}
        if len(self.known) <= NUM_NEIGHBOURS or not len(rows):
            return made
        if NEIGHBOURS in slow:
            made[NEIGHBOURS] = self._some(rows, self._nearest())
        if CHAINED in slow and sum(max(num, 1) for num in self.num_categories) <= MOST_NUMBERS:
            made[CHAINED] = self._some(rows, self._chained())
        return made

    def _nearest(self) -> Any:
        """Return what takes the mean of the nearest rows, by the cells that both have."""
        from sklearn.impute import KNNImputer  # type: ignore[import-untyped]  # heavy

        return KNNImputer(n_neighbors=NUM_NEIGHBOURS, keep_empty_features=True)

    def _chained(self) -> Any:
        """Return what regresses each column on all others, in turn, by Bayesian ridge."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of being experimental
            from sklearn.experimental import enable_iterative_imputer  # type: ignore[import-untyped]  # noqa: F401
            from sklearn.impute import IterativeImputer

        return IterativeImputer(max_iter=ROUNDS, random_state=0, keep_empty_features=True)

    def _some(self, rows: Rows, imputer: Any) -> Rows:
        """Return rows as an imputer of scikit-learn fills up to `MOST_ROWS` of them."""
        ids = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(int)
        made = np.full_like(rows, np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of not having converged in so many rounds
            made[ids] = self._joined(imputer.fit(self._spread(self.known)).transform(self._spread(rows[ids])))
        return made

    def _spread(self, rows: Rows) -> Rows:
        """Return rows (N, D), with a column for each category: 1 for the one that it is."""
        parts = []
        for place, num in enumerate(self.num_categories):
            cells = rows[:, place : place + 1]
            parts.append(np.where(np.isnan(cells), np.nan, cells == np.arange(num)) if num else cells)
        return np.concatenate(parts, 1)

    def _joined(self, spread: Rows) -> Rows:
        """Return rows (N, F), the likeliest category of each cell."""
        rows, start = np.empty((len(spread), len(self.num_categories))), 0
        for place, num in enumerate(self.num_categories):
            width = max(num, 1)
            part = spread[:, start : start + width]
            rows[:, place] = part.argmax(1) if num else part[:, 0]
            start += width
        return rows
