"""Histograms of a quantity, with the same bins for every split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maecli.eda.findings import Histogram

MAX_COUNT = 30
SHARES = np.linspace(0, 1, 21)
AREAS = 10.0 ** np.linspace(-4, 0, 21)
ASPECTS = 2.0 ** np.linspace(-3, 3, 25)

Values = Mapping[str, NDArray[np.float64]]


def of_shares(values: Values) -> Histogram | None:
    """Return a histogram in twentieths of values in [0, 1]; None without values, as below."""
    return _histogram(values, SHARES)


def of_areas(values: Values) -> Histogram | None:
    """Return a histogram of shares in [0, 1] in five bins per factor of ten."""
    return _histogram(values, AREAS)


def of_aspects(values: Values) -> Histogram | None:
    """Return a histogram of ratios in four bins per factor of two, from 1/8 to 8."""
    return _histogram(values, ASPECTS)


def of_counts(values: Values) -> Histogram | None:
    """Return a histogram of whole numbers in bins of their own, up to 30."""
    most = max((column.max() for column in values.values() if len(column)), default=0)
    return _histogram(values, np.arange(-0.5, min(most, MAX_COUNT) + 1))


def _histogram(values: Values, edges: NDArray[np.float64]) -> Histogram | None:
    filled = {name: column for name, column in values.items() if len(column)}
    if not filled:
        return None
    counts = {
        name: tuple(np.histogram(np.clip(column, edges[0], edges[-1]), edges)[0].tolist())
        for name, column in filled.items()
    }
    medians = {name: float(np.median(column)) for name, column in filled.items()}
    return Histogram(edges=tuple(edges.tolist()), counts=counts, medians=medians)
