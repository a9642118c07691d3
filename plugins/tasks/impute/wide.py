"""Rows with a column for each category: 1 for the one that a cell holds, 0 for all others.

Shapes: N rows, F cells, D values: one of each number, and one for each category of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .scores import Rows


def wide(rows: Rows, num_categories: Sequence[int]) -> Rows:
    """Return rows (N, D) of rows (N, F), NaN for all values of a cell that holds nothing."""
    parts = []
    for place, num in enumerate(num_categories):
        cells = rows[:, place : place + 1]
        parts.append(np.where(np.isnan(cells), np.nan, cells == np.arange(num)) if num else cells)
    return np.concatenate(parts, 1)


def narrow(values: Rows, num_categories: Sequence[int]) -> Rows:
    """Return rows (N, F) of rows (N, D), the likeliest category of each cell."""
    rows, start = np.empty((len(values), len(num_categories))), 0
    for place, num in enumerate(num_categories):
        width = max(num, 1)
        part = values[:, start : start + width]
        rows[:, place] = part.argmax(1) if num else part[:, 0]
        start += width
    return rows
