"""Imputation by chained equations: each column told from all others, in turn, until little changes.

Shapes: n rows to learn from, N rows to fill, F columns, D values of a row in its wide form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .scores import Rows
from .wide import narrow, wide

LITTLE = 1e-3
"""Of the greatest number that is known: a round that changes less is the last one."""


class Chain:
    """What fills rows by a regressor of scikit-learn that is fitted anew for each column and round.

    Of numbers alone it makes what scikit-learn's IterativeImputer does. That one would tell a category from the others
    of the same cell, which are as unknown: here all values of a column are told together, from other columns. It also
    keeps no model, of which forests would take gigabytes, as rows are filled on the way.
    """

    def __init__(self, known: Rows, num_categories: Sequence[int], regressor: Any, rounds: int) -> None:
        """Take rows (n, F) of z-scores and numbers of categories, NaN for nothing."""
        self.known, self.regressor, self.rounds = known, regressor, rounds
        self.num_categories = num_categories
        self.places = np.repeat(np.arange(len(num_categories)), np.maximum(num_categories, 1))
        """The column of each value."""

    def filled(self, rows: Rows) -> Rows:
        """Return rows (N, F) with what they lack, the likeliest of categories."""
        mine, others = self._begun(self.known), self._begun(rows)
        order = np.argsort(np.isnan(self.known).sum(0), kind="stable")
        least = LITTLE * np.nanmax(np.abs(wide(self.known, self.num_categories)))
        for _ in range(self.rounds):
            before = mine.copy()
            for place in order.tolist():
                self._tell(place, [(self.known, mine), (rows, others)])
            if np.abs(mine - before).max() < least:
                break
        return narrow(others, self.num_categories)

    def _tell(self, place: int, parts: Sequence[tuple[Rows, Rows]]) -> None:
        """Fill the holes of a column in the wide form of parts, by the first one's rows that have it."""
        from sklearn.base import clone  # type: ignore[import-untyped]  # heavy

        own = self.places == place
        there, mine = ~np.isnan(parts[0][0][:, place]), parts[0][1]
        holes = [np.isnan(cells[:, place]) for cells, _ in parts]
        if not there.any() or not any(each.any() for each in holes):
            return
        truth = mine[there][:, own]
        model = clone(self.regressor).fit(mine[there][:, ~own], truth if truth.shape[1] > 1 else truth[:, 0])
        for hole, (_, made) in zip(holes, parts, strict=True):
            if hole.any():
                made[np.ix_(hole, own)] = model.predict(made[hole][:, ~own]).reshape(-1, truth.shape[1])

    def _begun(self, rows: Rows) -> Rows:
        """Return the wide form of rows (N, D), with the means of what is known where they lack something."""
        made, known = (wide(each, self.num_categories) for each in (rows, self.known))
        means = np.nansum(known, 0) / np.maximum((~np.isnan(known)).sum(0), 1)
        return np.where(np.isnan(made), means, made)
