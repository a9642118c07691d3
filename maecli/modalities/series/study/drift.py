"""How the values of val and test differ from those of train.

Shapes: T steps of a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.series.study.levels import SPREADS

Values = NDArray[np.float64]

SHIFTS = 0.5
"""Deviations of train by which the mean of a split lies off, from which it is told."""
OUTSIDE, FAR = 0.02, 0.25
"""Share of a split's values outside of all that train holds, from which it is told, and how far: in ranges of train."""
SURE = 4.0
"""Standard errors by which a mean or a spread is off at least; neighbours in time are alike, so blocks are counted."""
BLOCKS = 20
LEAST_STEPS = 3 * BLOCKS


@dataclass(frozen=True)
class Drift:
    """A column of a split beside train."""

    mean: float
    deviation: float
    shift: float
    """Of the mean, in deviations of train."""
    spread: float
    """Its deviation, divided by that of train."""
    outside: float
    """Share of its values that lie outside of those of train."""
    shifts: bool
    spreads: bool
    leaves: bool
    """Whether many values lie well outside of those of train."""


def drift_of(train: Sequence[Values], other: Sequence[Values]) -> Drift | None:
    """Return how the parts of a split (T,) each, NaN where nothing is known, differ from those of train.

    None where either has too few values to say.
    """
    known, others = (np.concatenate(parts) if parts else np.zeros(0) for parts in (train, other))
    known, others = known[~np.isnan(known)], others[~np.isnan(others)]
    deviation = float(known.std()) if len(known) else 0.0
    if min(len(known), len(others)) < LEAST_STEPS or deviation <= 1e-6 * float(np.abs(known).max()):
        return None
    shift, spread = float(others.mean() - known.mean()) / deviation, float(others.std()) / deviation
    low, high = float(known.min()), float(known.max())
    far = FAR * (high - low)
    return Drift(
        mean=float(others.mean()),
        deviation=float(others.std()),
        shift=shift,
        spread=spread,
        outside=_outside(others, low, high),
        shifts=abs(shift) >= SHIFTS and abs(_errors(known, others)) >= SURE,
        spreads=max(spread, 1 / max(spread, 1e-12)) >= SPREADS and abs(_errors_of_spread(known, others)) >= SURE,
        leaves=_outside(others, low - far, high + far) >= OUTSIDE,
    )


def _outside(values: Values, low: float, high: float) -> float:
    return float(((values < low) | (values > high)).mean())


def _errors(first: Values, second: Values) -> float:
    """Return how many standard errors the second mean lies above the first, by the means of blocks of each."""
    means = [np.array([block.mean() for block in np.array_split(values, BLOCKS)]) for values in (first, second)]
    error = float(np.sqrt(sum(each.var(ddof=1) for each in means) / BLOCKS))
    return float(means[1].mean() - means[0].mean()) / max(error, 1e-12)


def _errors_of_spread(first: Values, second: Values) -> float:
    """Return the same of the distances to the mean."""
    distances = [np.log(np.abs(each - each.mean()) + 1e-12) for each in (first, second)]
    return _errors(distances[0], distances[1])
