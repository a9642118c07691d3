"""How sure errors of numbers are: intervals from the spread over samples, by the delta method.

Shapes: N samples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

REACH = 1.96
"""Standard errors either way of a 95% interval."""
Numbers = NDArray[np.float64]
Interval = tuple[float, float]


def of_mean(values: Numbers) -> Interval:
    """Return the 95% interval of the mean of values (N,)."""
    error = REACH * float(values.std()) / math.sqrt(len(values))
    mean = float(values.mean())
    return mean - error, mean + error


def of_rmse(squares: Numbers) -> Interval:
    """Return the 95% interval of the root of the mean of squared errors (N,)."""
    low, high = of_mean(squares)
    return math.sqrt(max(0.0, low)), math.sqrt(high)


def of_r2(squares: Numbers, truth: Numbers) -> Interval:
    """Return the 95% interval of 1 - the squared errors (N,) over the variance of the truth (N,).

    Of a ratio of means a / b the change by one sample is (a' - ratio b') / b.
    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", section 21.4.
    """
    apart = (truth - truth.mean()) ** 2
    ratio = float(squares.mean() / apart.mean())
    low, high = of_mean((squares - ratio * apart) / apart.mean())
    return 1 - ratio - (high - low) / 2, min(1.0, 1 - ratio + (high - low) / 2)
