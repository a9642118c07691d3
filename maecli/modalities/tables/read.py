"""Tables in files: CSV with a header, or arrays.

Shapes: N rows, F cells of a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard
from maecli.data.csv_files import MAX_NUMBERS, csv_head, csv_numbers
from maecli.errors import BrokenSample
from maecli.modalities.arrays import read_npy
from maecli.modalities.columns import count_columns, find_columns
from maecli.modalities.files import FileParts, reading


def read_table(path: Path, card: DataCard) -> np.ndarray:
    """Return the rows of a table (N, F) float32, NaN where nothing is known. Raises `BrokenSample`."""
    with reading(path):
        if path.suffix.lower() == ".npy":
            values = _read_array(path, num_cells(card))
        else:
            columns, _ = csv_head(path)
            values = csv_numbers(path, cell_columns(path, columns, card))
        if len(values) == 0:
            raise BrokenSample(str(path), "has no rows")
        return values


def _read_array(path: Path, number: int) -> np.ndarray:
    values = read_npy(path, MAX_NUMBERS).astype(np.float32, copy=False)
    if values.ndim != 2 or values.shape[1] != number:
        raise BrokenSample(str(path), f"has the shape {values.shape}; a table of this model is (N, {number})")
    if np.isinf(values).any():
        raise BrokenSample(str(path), "holds infinite values")
    return values


def num_cells(card: DataCard) -> int:
    """Return F, of the card's names or size."""
    return len(card.cells) or math.prod(card.size or ())


def cell_columns(path: Path, columns: list[str], card: DataCard) -> list[int]:
    """Return the columns that are cells: those that the card names, else all. Raises `BrokenSample`."""
    if card.cells:
        return find_columns(path, columns, card.cells)
    return count_columns(path, columns, range(len(columns)), num_cells(card))


class Rows(FileParts):
    """The rows of tables, keys `path#row`, counted from 1 without the header."""

    def names(self, values: np.ndarray) -> Sequence[str]:
        return [f"#{row}" for row in range(1, len(values) + 1)]

    def part(self, values: np.ndarray, number: int) -> np.ndarray:
        return values[None, number].copy()
