"""Series in files: CSV with a column per channel and a line per step, or arrays.

Shapes: C channels, T steps.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from maecli.data.card import DataCard
from maecli.data.csv_files import MAX_NUMBERS, csv_head, csv_numbers, csv_rows, is_number
from maecli.data.tabular.missing import Missing
from maecli.errors import BrokenSample
from maecli.modalities.arrays import read_npy
from maecli.modalities.columns import count_columns, find_columns
from maecli.modalities.files import reading

INDEX_NAMES = frozenset({"", "date", "time", "datetime", "timestamp", "index"})
"""Names of a first column that says when a step is, in lower case; the empty one is what pandas writes."""
Layout = Literal["steps", "steps first", "channels first"]


def read_series(path: Path, card: DataCard) -> np.ndarray:
    """Return a series (C, T) float32, NaN where nothing is known. Raises `BrokenSample`."""
    with reading(path):
        if path.suffix.lower() == ".npy":
            values = read_npy(path, MAX_NUMBERS).astype(np.float32)
            layout = array_layout(path, values.shape, card.channels)
            values = values[None] if layout == "steps" else values.T if layout == "steps first" else values
            if np.isinf(values).any():
                raise BrokenSample(str(path), "holds infinite values")
        else:
            names, first = csv_head(path)
            values = csv_numbers(path, channel_columns(path, names, first, card)).T
        if values.shape[1] == 0:
            raise BrokenSample(str(path), "has no steps")
        return np.ascontiguousarray(values)


def array_layout(path: Path, shape: tuple[int, ...], channels: int) -> Layout:
    """Return which axis of an array (T,), (T, C) or (C, T) is time. Raises `BrokenSample` where both could be."""
    if len(shape) == 1 and channels == 1:
        return "steps"
    if len(shape) != 2 or channels not in shape:
        wanted = "(T,), (T, 1) or (1, T)" if channels == 1 else f"(T, {channels}) or ({channels}, T)"
        raise BrokenSample(str(path), f"has the shape {shape}; a series of this model is {wanted}")
    if shape[0] == shape[1] > 1:
        way_out = "save it as CSV, with a column per channel"
        raise BrokenSample(str(path), f"has the shape {shape}, in which time and channels look alike; {way_out}")
    return "channels first" if shape[0] == channels else "steps first"


def channel_columns(path: Path, names: list[str], first: list[str], card: DataCard) -> list[int]:
    """Return the columns that are channels: those that the card names, else all but an index. Raises `BrokenSample`."""
    if card.channel_names:
        return find_columns(path, names, card.channel_names)
    ids = range(index_columns(names, first), len(names))
    return count_columns(path, names, ids, card.channels)


def index_columns(names: list[str], first: list[str]) -> int:
    """Return 1 if the first of several columns says when a step is or what it is called, else 0.

    It has such a name, or the first step has neither a number there nor nothing.
    """
    if len(names) < 2:
        return 0
    text = bool(first) and not Missing()(first[0]) and not is_number(first[0])
    decimal_comma = first and is_number(first[0].replace(",", "."))
    return int(names[0].lower() in INDEX_NAMES or (text and not decimal_comma))


def csv_index(path: Path, steps: int) -> tuple[str, list[str]] | None:
    """Return the name and the cells of the index of a CSV file of so many steps, if it has one.

    Raises `BrokenSample`.
    """
    names, first = csv_head(path)
    if not index_columns(names, first):
        return None
    rows = (cells for _, cells in csv_rows(path) if len(cells) == len(names))
    cells = [row[0] for row in islice(rows, steps + 2)][1:]
    return (names[0], cells) if len(cells) == steps else None
