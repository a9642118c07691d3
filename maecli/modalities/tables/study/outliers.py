"""Values far from all others, and values at which a column is cut off.

Shapes: N rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FAR, FAR_IN_LOG = 10.0, 6.0
"""Robust deviations from the median, of the values and of their logarithms: prices and counts have long tails."""
CONSISTENT = 1.4826
"""Standard deviations of a normal distribution in its median absolute deviation."""
OFTEN, OFTEN_SHARE = 5, 0.5
"""Times that a far value stands there, and share of all far ones on its side, from which it is called a code."""
DIFFERENT, CUT, TIMES = 40, 0.01, 5
"""Different values, share of the rows at the greatest, and times as many as at those below: then it is a limit."""


@dataclass(frozen=True)
class Outliers:
    """Values of a column far from all others."""

    rows: NDArray[np.int64]
    """Where they stand, the farthest first."""
    median: float
    distance: float
    """Of the farthest, in robust deviations."""
    code: float | None
    """The one value that most of them have, as -999 has that says that nothing is known."""


def find_outliers(values: Values) -> Outliers | None:
    """Return the values of a column (N,) that are far from all others by its median and median absolute deviation.

    Of values that are never negative the logarithms must be far too. None where there is none, or where most values are
    the same. Source: Iglewicz and Hoaglin, "How to detect and handle outliers", 1993, section 3.3; the limits are ours.
    """
    there = values[~np.isnan(values)]
    if not len(there):
        return None
    apart, median = _robust(values, there)
    if apart is None:
        return None
    far = np.abs(apart) > FAR
    if far.any() and there.min() >= 0:
        scale = max(median, 1e-12)
        in_log, _ = _robust(np.log1p(values / scale), np.log1p(there / scale))
        far &= np.abs(in_log) > FAR_IN_LOG if in_log is not None else False
    rows = np.flatnonzero(far)
    if not len(rows):
        return None
    rows = rows[np.argsort(-np.abs(apart[rows]), kind="stable")]
    return Outliers(rows, median, float(abs(apart[rows[0]])), _code(values[rows]))


def find_limit(values: Values) -> tuple[float, int] | None:
    """Return the greatest value of a column (N,) and how often it is there, where more was cut off to it; else None."""
    different, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if len(different) < DIFFERENT:
        return None
    num, below = int(counts[-1]), float(counts[-DIFFERENT // 2 : -1].max())
    return (float(different[-1]), num) if num >= CUT * counts.sum() and num >= TIMES * below else None


def _robust(values: Values, there: Values) -> tuple[Values | None, float]:
    """Return how many robust deviations values (N,) lie off the median, 0 for NaN, and the median; None without any."""
    median = float(np.median(there))
    deviation = CONSISTENT * float(np.median(np.abs(there - median)))
    if deviation <= 1e-9 * abs(median):
        return None, median
    return np.nan_to_num((values - median) / deviation), median


def _code(far: Values) -> float | None:
    different, counts = np.unique(far, return_counts=True)
    most = int(counts.argmax())
    often = counts[most] >= OFTEN and counts[most] >= OFTEN_SHARE * len(far)
    return float(different[most]) if often else None
