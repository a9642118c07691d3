"""What is told of hidden cells in tables: by column, by imputer, and by the scale on which errors are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from maecli import api

from .scores import Rows, Scores

Cell = str | int | float
ERRORS = ("RMSE, z-scored", "MAE, z-scored", "Wasserstein distance, z-scored", "RMSE, in units", "MAE, in units")


def by_column(own: Scores, names: Sequence[str], deviation: Rows) -> api.Table:
    """Return the errors of a model in each column, whose numbers have these deviations (F,) in units of the data."""
    rows: list[tuple[Cell, ...]] = []
    for place in np.flatnonzero(own.num).tolist():
        here, begun = [place], (names[place], int(own.num[place]))
        if place in own.categories:
            rows.append((*begun, *[""] * len(ERRORS), short(own.accuracy(here))))
            continue
        rmse, mae, scale = own.rmse(here), own.mae(here), float(deviation[place])
        rows.append((*begun, *map(short, (rmse, mae, own.wasserstein(here), rmse * scale, mae * scale)), ""))
    columns = ("column", "hidden cells", *ERRORS, "accuracy")
    return api.Table(title="Hidden cells, by column", columns=columns, rows=tuple(rows))


def by_imputer(scores: Mapping[str, Scores], names: Sequence[str]) -> api.Table:
    """Return the error of each method, the model's first, in each column."""
    own, *_ = scores.values()
    rows: list[tuple[Cell, ...]] = []
    for place in np.flatnonzero(own.num).tolist():
        what, take = ("accuracy", Scores.accuracy) if place in own.categories else ("RMSE, z-scored", Scores.rmse)
        rows.append((names[place], what, *(short(take(each, [place])) for each in scores.values())))
    return api.Table(title="Hidden cells, by column and imputer", columns=("column", "of", *scores), rows=tuple(rows))


def by_scaler(scores: Mapping[str, Mapping[str, Scores]]) -> api.Table:
    """Return MSE and Wasserstein distance of hidden numbers, by how these are scaled and by method."""
    rows: list[tuple[Cell, ...]] = []
    for scaler, by in scores.items():
        places = next(iter(by.values())).numbers
        rows.append((scaler, "MSE", *(short(each.rmse(places) ** 2) for each in by.values())))
        rows.append((scaler, "Wasserstein distance", *(short(each.wasserstein(places)) for each in by.values())))
    methods = next(iter(scores.values()))
    return api.Table(title="Hidden numbers, by scaler", columns=("scaler", "of", *methods), rows=tuple(rows))


def short(value: float) -> float | str:
    """Return a number of four digits; n/a where there is none."""
    return "n/a" if np.isnan(value) else float(f"{value:.4g}")
