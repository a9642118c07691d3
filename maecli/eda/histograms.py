"""Histograms of a quantity, with the same bins for every split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maecli.eda.findings import Histogram

MAX_COUNT = 30
SHARES = np.linspace(0, 1, 21)
"""Edges of twentieths."""
AREAS = 10.0 ** np.linspace(-4, 0, 21)
"""For shares that are mostly small: five bins per factor of ten."""
ASPECTS = 2.0 ** np.linspace(-3, 3, 25)
"""For ratios: four bins per factor of two, from 1/8 to 8."""

Values = Mapping[str, NDArray[np.float64]]


def of_counts(values: Values) -> Histogram | None:
    """Return a histogram of whole numbers in bins of their own, up to 30."""
    most = max((column.max() for column in values.values() if len(column)), default=0)
    return of_values(values, np.arange(-0.5, min(most, MAX_COUNT) + 1))


def of_values(values: Values, edges: NDArray[np.float64]) -> Histogram | None:
    """Return a histogram of values between these edges; None without any."""
    filled = {name: column for name, column in values.items() if len(column)}
    if not filled:
        return None
    counts = {
        name: tuple(np.histogram(np.clip(column, edges[0], edges[-1]), edges)[0].tolist())
        for name, column in filled.items()
    }
    medians = {name: float(np.median(column)) for name, column in filled.items()}
    return Histogram(edges=tuple(edges.tolist()), counts=counts, medians=medians)
