"""What is known of columns from the rows that are learnt from.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maecli.data.tabular.columns import Column, Scaler
from maecli.data.tabular.kinds import Kindred
from maecli.data.tabular.missing import Missing
from maecli.data.tabular.times import find_time_format

NUM_KNOTS = 257
"""Quantiles that are kept of a column, at most."""


def fit_column(
    found: Kindred, train: NDArray[np.int64], scaler: Scaler = "standard", missing: Sequence[str] = ()
) -> Column | None:
    """Return a column as its rows `train` have it; None where these hold nothing, or it is left out.

    `missing`: what else says that a cell holds nothing.
    """
    name, kind, nothing = found.cells.name, found.kind, Missing(missing)
    if kind in ("category", "boolean"):
        texts = {cell for cell in (found.cells[row] for row in train.tolist()) if not nothing(cell)}
        return Column(name=name, kind=kind, categories=tuple(sorted(texts)), missing=tuple(missing)) if texts else None
    if kind is None or found.values is None:
        return None
    there = found.values[train]
    there = there[~np.isnan(there)]
    if not len(there):
        return None
    form = find_time_format(found.cells, nothing) if kind == "date" else None
    return Column(
        name=name,
        kind=kind,
        knots=fit_knots(there, scaler),
        decimals=found.decimals if form is None else form.decimals,
        time=form.pattern if form is not None else "",
        zone=form.zone if form is not None else "",
        missing=tuple(missing),
    )


def fit_knots(values: NDArray[np.float64], scaler: Scaler = "standard") -> tuple[float, ...]:
    """Return the knots of a column with values (N,): the least and the greatest, or quantiles unless all are equal."""
    ends = float(values.min()), float(values.max())
    if scaler != "quantile" or ends[0] == ends[1]:
        return ends
    return tuple(np.quantile(values, np.linspace(0, 1, max(3, min(NUM_KNOTS, len(values))))).tolist())
