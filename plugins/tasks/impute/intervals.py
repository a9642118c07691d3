"""How sure errors of hidden cells are: whole rows are drawn again, as cells of a row go together.

Shapes: N rows, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maecli import api

from .scores import Rows


def means_of(sums: Rows) -> Mapping[str, Rows]:
    """Return RMSE, MAE and accuracy (…) of sums (…, 5) as `Scores.by_row` has them; 0 of nothing."""
    squares, sizes, numbers, right, categories = np.moveaxis(sums, -1, 0)
    numbers, categories = np.maximum(numbers, 1), np.maximum(categories, 1)
    return {"rmse": np.sqrt(squares / numbers), "mae": sizes / numbers, "accuracy": right / categories}


def resampled(sums: Rows) -> Mapping[str, Rows]:
    """Return what `means_of` does (R,) in resamples of rows with these sums (N, 5).

    The seed is fixed: of as many rows the same are drawn.
    """
    random, num = np.random.default_rng(0), len(sums)
    even = np.full(num, 1 / max(num, 1))
    return means_of(np.stack([random.multinomial(num, even) @ sums for _ in range(api.measure.RESAMPLES)]))
