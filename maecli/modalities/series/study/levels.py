"""Whether a series keeps its level and its spread: a test, and how far they move.

Shapes: T steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

CRITICAL_LEVEL, CRITICAL_TREND = 0.739, 0.216
"""Of the statistic at 1%, about a level and about a line. Source: Kwiatkowski et al. 1992, table 1."""
MOVES = 1.0
"""Deviations between the highest and the lowest mean of a fifth of the series, from which its level moves."""
SPREADS = 1.5
"""Ratio of the later spread to the earlier one, or its inverse, from which it changes."""
SURE = 4.0
"""Standard errors by which the spread changes at least."""
PARTS, BLOCKS = 5, 20
LEAST_STEPS = 100
ROUNDING = 1e-6
"""Of float32: what varies less, relative to its values, is constant."""

Course = Literal["keep", "rise along a line", "fall along a line", "wander"]


@dataclass(frozen=True)
class Level:
    """What became of the level and the spread."""

    course: Course
    kpss: float
    """The statistic about a level: above CRITICAL_LEVEL a series does not keep it."""
    move: float
    """Between the highest and the lowest mean of a fifth of the series, in deviations of the series."""
    spread: float
    """Spread around its own level of the second half, divided by that of the first."""
    spreads: bool
    """Whether that is more than chance and more than a little."""


def level_of(values: Values, season: int = 1) -> Level | None:
    """Return what becomes of a series (T,) without its seasons, of which the longest has so many steps.

    NaN is passed over. None where it is too short to say, or constant.
    """
    places = np.flatnonzero(~np.isnan(values))
    known = values[places]
    deviation = float(known.std()) if len(known) else 0.0
    if len(known) < max(LEAST_STEPS, BLOCKS * 2) or deviation <= ROUNDING * float(np.abs(known).max()):
        return None
    means = [float(part.mean()) for part in np.array_split(known, PARTS)]
    move, lags = (max(means) - min(means)) / deviation, _lags(len(known), season)
    statistic = kpss(known - known.mean(), lags)
    spread, errors = _spread(known)
    spreads = errors >= SURE and max(spread, 1 / spread) >= SPREADS
    course: Course = "keep"
    if statistic > CRITICAL_LEVEL and move >= MOVES:
        line = np.polynomial.Polynomial.fit(places, known, 1)
        rises = line(len(values)) > line(0)
        apart = known - line(places)
        straight = float(apart.std()) <= ROUNDING * deviation or kpss(apart, lags) <= CRITICAL_TREND
        course = ("rise along a line" if rises else "fall along a line") if straight else "wander"
    return Level(course, statistic, move, spread, spreads)


def kpss(apart: Values, lags: int) -> float:
    """Return the statistic of Kwiatkowski, Phillips, Schmidt and Shin (1992, equation 13) of residuals (T,).

    The sum of their squared partial sums, over T² times the long-run variance: that of Newey and West by Bartlett's
    window of so many lags (equation 10). Without a unit root it stays small, with one it grows as T / lags.
    """
    num = len(apart)
    variance = float(apart @ apart) / num
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(apart[lag:] @ apart[:-lag]) / num
    if variance <= 0:
        return 0.0
    return float(np.square(np.cumsum(apart)).sum()) / (num**2 * variance)


def _lags(num: int, season: int) -> int:
    """Return how many lags the long-run variance takes: those of Schwert's rule of 12, and a season at least."""
    return min(max(int(12 * (num / 100) ** 0.25), season), num // 10)


def _spread(known: Values) -> tuple[float, float]:
    """Return the ratio of the spread of the second half to the first, and how many standard errors it is off 1.

    Spread is the deviation around the mean of each of the blocks, so that a level that moves is none.
    """
    spreads = np.log([max(float(block.std()), 1e-12) for block in np.array_split(known, BLOCKS)])
    first, second = spreads[: BLOCKS // 2], spreads[BLOCKS // 2 :]
    error = float(np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / len(first)))
    apart = float(second.mean() - first.mean())
    return float(np.exp(apart)), abs(apart) / max(error, 1e-12)
