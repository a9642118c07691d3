"""How far what was filled in lies from what was hidden.

Shapes: N rows, F cells of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Errors on hidden cells (N, F): rows as they were filled and as they are, of z-scores and numbers of categories.

    A cell counts where it was hidden and is filled, which it is not where that is NaN. What nothing counts for is NaN.
    """

    filled: Rows
    truth: Rows
    hidden: NDArray[np.bool_]
    num_categories: Sequence[int]
    """Of each cell (F,); 0 is a number."""

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        return self.hidden & ~np.isnan(self.filled)

    @property
    def num(self) -> NDArray[np.int64]:
        """How many cells of each column count (F,)."""
        return self.counted.sum(0)

    @property
    def numbers(self) -> list[int]:
        """Which columns hold numbers."""
        return [place for place, num in enumerate(self.num_categories) if not num]

    @property
    def categories(self) -> list[int]:
        """Which columns hold categories."""
        return [place for place, num in enumerate(self.num_categories) if num]

    def rmse(self, places: Sequence[int]) -> float:
        """Return the root mean squared error of these columns together."""
        return float(np.sqrt(_mean(self._errors(places) ** 2)))

    def mae(self, places: Sequence[int]) -> float:
        """Return the mean absolute error of these columns together."""
        return _mean(abs(self._errors(places)))

    def accuracy(self, places: Sequence[int]) -> float:
        """Return the share of these columns' categories that are right."""
        return _mean((np.rint(self._filled(places)) == self._truth(places)).astype(np.float64))

    def by_row(self) -> Rows:
        """Return sums over the cells of each row (N, 5): squared errors of numbers, their sizes, how many numbers
        count, how many categories are right, and how many count.
        """
        errors = np.where(self.counted, self.filled - self.truth, 0.0)
        right = self.counted & (np.rint(np.where(self.counted, self.filled, 0)) == self.truth)
        numbers, categories = self.numbers, self.categories
        sums = (
            (errors[:, numbers] ** 2).sum(1),
            abs(errors[:, numbers]).sum(1),
            self.counted[:, numbers].sum(1),
            right[:, categories].sum(1),
            self.counted[:, categories].sum(1),
        )
        return np.stack(sums, 1).astype(np.float64)

    def wasserstein(self, places: Sequence[int]) -> float:
        """Return the distance between the distributions of what was filled in and what was there, mean over columns."""
        from scipy.stats import wasserstein_distance  # type: ignore[import-untyped]  # heavy

        pairs = [(self._filled([place]), self._truth([place])) for place in places]
        return _mean(np.array([wasserstein_distance(*pair) for pair in pairs if len(pair[0])]))

    def _filled(self, places: Sequence[int]) -> Rows:
        return self.filled[:, places][self.counted[:, places]]

    def _truth(self, places: Sequence[int]) -> Rows:
        return self.truth[:, places][self.counted[:, places]]

    def _errors(self, places: Sequence[int]) -> Rows:
        return self._filled(places) - self._truth(places)


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


def extent(rows: Rows, num_categories: Sequence[int]) -> tuple[Rows, Rows]:
    """Return the least and the span to the greatest of each cell (F,) of rows (n, F) likewise."""
    least, span = np.zeros(len(num_categories)), np.ones(len(num_categories))
    for place, num in enumerate(num_categories):
        there = rows[:, place][~np.isnan(rows[:, place])]
        if not num and len(there):
            least[place], span[place] = there.min(), np.ptp(there) or 1.0
    return least, span


def _mean(values: Rows) -> float:
    return float(values.mean()) if len(values) else float("nan")
