"""What imputations are compared with: the mean or the most frequent category, neighbours, and chained regressions.

Shapes: n rows to learn from, N rows to fill, F cells.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .chained import Chain
from .scores import Rows, moments
from .wide import narrow, wide

SIMPLE, NEIGHBOURS, CHAINED, FORESTS = (
    "mean or most frequent",
    "10 nearest rows",
    "iterative regression",
    "iterative random forests",
)
DISTANCES_MIB = 64
"""That distances between rows take at once: by scikit-learn's 1 GiB they take longer, too."""
NUM_NEIGHBOURS, ROUNDS = 10, 10
"""As many as in the public figures for California, and as scikit-learn's default."""
NUM_TREES, SHARE_TRIED, LEAST_LEAF, ROUNDS_OF_FORESTS = 100, 1 / 3, 5, 5
"""Trees of a forest, columns that a split may choose from and rows in a leaf, as randomForest of R has them."""
MOST_ROWS = 5_000
"""Rows that the slow ones fill, evenly spaced: time grows as these times the rows that they learn from."""
MOST_NUMBERS = 60
"""Of a row, beyond which regressing each on all others takes many minutes: it is left out."""
MOST_KEPT = 12
"""Results of slow ones that are kept, so that runs of a sweep that are measured on the same cells share them."""

_kept: OrderedDict[bytes, Rows] = OrderedDict()


class Baselines:
    """Trivial and classical imputers that learn from rows (n, F) of numbers in any units and numbers of categories."""

    def __init__(self, known: Rows, num_categories: Sequence[int]) -> None:
        """Take rows, NaN for nothing, and how many categories each cell can have: 0 is a number.

        Numbers are z-scored by these rows, so that columns count alike.
        """
        self.num_categories = num_categories
        self.mean, self.deviation = moments(known, num_categories)
        self.known = self._scored(known)

    def _scored(self, rows: Rows) -> Rows:
        return (rows - self.mean) / self.deviation

    def simple(self) -> Rows:
        """Return for each cell (F,) the mean, or the most frequent category; 0 where nothing is known."""
        values = self.mean.copy()
        for place, num in enumerate(self.num_categories):
            there = self.known[:, place][~np.isnan(self.known[:, place])]
            if num and len(there):
                values[place] = np.bincount(there.astype(int), minlength=num).argmax()
        return values

    def filled(self, rows: Rows, slow: Collection[str] = (NEIGHBOURS, CHAINED)) -> Mapping[str, Rows]:
        """Return rows (N, F) as each method fills them, NaN where the `slow` ones that are asked for fill none."""
        made = {SIMPLE: np.broadcast_to(self.simple(), rows.shape)}
        if len(self.known) <= NUM_NEIGHBOURS or not len(rows):
            return made
        ways = {NEIGHBOURS: self._by_nearest}
        if sum(max(num, 1) for num in self.num_categories) <= MOST_NUMBERS:
            ways |= {CHAINED: self._by_ridge, FORESTS: self._by_forests}
        return made | {name: self._some(name, rows, way) for name, way in ways.items() if name in slow}

    def _some(self, name: str, rows: Rows, way: Callable[[Rows], Rows]) -> Rows:
        """Return rows as a slow one fills up to `MOST_ROWS` of them."""
        ids = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(int)
        made, some = np.full_like(rows, np.nan), self._scored(rows[ids])
        key = hashlib.blake2b(b"".join([name.encode(), self.known.tobytes(), some.tobytes()])).digest()
        if key not in _kept:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of not having converged in so many rounds
                _kept[key] = way(some)
            while len(_kept) > MOST_KEPT:
                _kept.popitem(last=False)
        made[ids] = _kept[key] * self.deviation + self.mean
        return made

    def _by_nearest(self, rows: Rows) -> Rows:
        """Return rows with the mean of the nearest rows, by the cells that both have."""
        from sklearn import config_context  # type: ignore[import-untyped]  # heavy
        from sklearn.impute import KNNImputer  # type: ignore[import-untyped]

        with config_context(working_memory=DISTANCES_MIB):
            return self._by(KNNImputer(n_neighbors=NUM_NEIGHBOURS, keep_empty_features=True), rows)

    def _by_ridge(self, rows: Rows) -> Rows:
        """Return rows of which each column is regressed on all others, in turn, by Bayesian ridge.

        Of a category that is not there each value is told from the others, which are as unknown, so that it stays the
        most frequent one; numbers come out better so than by `Chain`.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of being experimental
            from sklearn.experimental import enable_iterative_imputer  # type: ignore[import-untyped]  # noqa: F401
            from sklearn.impute import IterativeImputer

        return self._by(IterativeImputer(max_iter=ROUNDS, random_state=0, keep_empty_features=True), rows)

    def _by(self, imputer: Any, rows: Rows) -> Rows:
        """Return rows as an imputer of scikit-learn fills them."""
        known, lacking = (wide(each, self.num_categories) for each in (self.known, rows))
        return narrow(imputer.fit(known).transform(lacking), self.num_categories)

    def _by_forests(self, rows: Rows) -> Rows:
        """Return rows of which each column is told from all others, in turn, by random forests.

        Source: missForest, arXiv:1105.0828, which has a third of the columns for the square root of their number, and
        stops by another rule.
        """
        from sklearn.ensemble import RandomForestRegressor  # type: ignore[import-untyped]  # heavy

        forest = RandomForestRegressor(
            NUM_TREES,
            max_features=SHARE_TRIED,
            min_samples_leaf=LEAST_LEAF,
            n_jobs=torch.get_num_threads(),
            random_state=0,
        )
        return Chain(self.known, self.num_categories, forest, ROUNDS_OF_FORESTS).filled(rows)


def in_words(forests: bool) -> str:
    """Return what stands beside a model, as a report tells it."""
    told = (
        f"Nearest rows are those of scikit-learn's KNNImputer ({NUM_NEIGHBOURS}), iterative regression is its "
        f"IterativeImputer with Bayesian ridge ({ROUNDS} rounds), both of z-scores and of a 0 or 1 for each category"
    )
    trees = f"{NUM_TREES} trees, a third of the columns tried at a split, {LEAST_LEAF} rows in a leaf"
    return f"{told}; random forests have {trees}, and {ROUNDS_OF_FORESTS} rounds." if forests else f"{told}."
