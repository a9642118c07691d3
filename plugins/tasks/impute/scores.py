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


def _mean(values: Rows) -> float:
    return float(values.mean()) if len(values) else float("nan")
