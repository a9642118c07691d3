"""Columns that copy others, some steps earlier or later.

What moves both, a season or a trend, says nothing of copies: the steps between neighbours are compared, after what
repeats was taken away.

Shapes: T steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.series.study.lags import earlier_and_later
from maecli.modalities.series.study.subject import Column

Values = NDArray[np.float64]

ALIKE = 0.95
"""Correlation from which a column is called a copy."""
LEAST_PAIRS = 100
"""Steps at which both are known."""
LEFT = 1e-4
"""Deviation, relative to that of a whole series, that is left of it at least: rounding correlates with nothing."""


@dataclass(frozen=True)
class Copy:
    """Where two columns are most alike."""

    lag: int
    """Steps by which the second comes after the first; below 0: before it."""
    correlation: float


@dataclass(frozen=True)
class CopyOf:
    """Two columns of which one holds what the other holds later, or at once."""

    early: Column
    late: Column
    lag: int
    """Steps by which the late one comes after the early one, 0 or more."""
    correlation: float


def changes(values: Values, whole: Values) -> Values | None:
    """Return the steps (T - 1,) between neighbours of a series without its seasons, standardised, NaN for nothing.

    None where nothing is left of the `whole` series to compare.
    """
    steps = np.diff(values)
    there = ~np.isnan(steps)
    if there.sum() < LEAST_PAIRS:
        return None
    deviation = float(steps[there].std())
    if deviation <= LEFT * float(np.nanstd(whole)):
        return None
    return (steps - steps[there].mean()) / deviation


def find_copy(first: Values, second: Values, most: int) -> Copy | None:
    """Return at which of the lags -`most` to `most` the second series of changes copies the first; None at none."""
    there = [(~np.isnan(each)).astype(float) for each in (first, second)]
    filled = [np.nan_to_num(each) for each in (first, second)]
    products = earlier_and_later(filled[0], filled[1], most)
    squares = (
        earlier_and_later(np.square(filled[0]), there[1], most),
        earlier_and_later(there[0], np.square(filled[1]), most),
    )
    pairs = np.rint(earlier_and_later(there[0], there[1], most))
    norm = np.sqrt(np.maximum(squares[0] * squares[1], 1e-12))
    correlation = np.where(pairs >= LEAST_PAIRS, products / norm, 0.0)
    best = int(np.abs(correlation).argmax())
    if abs(correlation[best]) < ALIKE:
        return None
    return Copy(best - most, float(correlation[best]))
