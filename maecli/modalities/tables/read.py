"""Tables in files: CSV with a header, Parquet, or arrays.

Shapes: N rows, F cells of a row, C channels of a sample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maecli.data.card import DataCard
from maecli.data.csv_files import MAX_NUMBERS
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.data.tabular.columns import (
    Column,
    as_image,
    broken,
    num_channels,
    numbers_of,
    read_cells,
    unseen_categories,
)
from maecli.data.tabular.missing import Missing
from maecli.data.tabular.numbers import PLAIN, number_formats
from maecli.data.tabular.read import read_table
from maecli.data.tabular.table import TextTable
from maecli.errors import BrokenSample
from maecli.modalities.arrays import read_npy
from maecli.modalities.columns import count_columns, find_columns
from maecli.modalities.files import FileParts, reading
from maecli.text import number_of, shortened, some

Unseen = dict[Path, Mapping[str, Counter[str]]]
"""Of files what stands in a column, by its name, and is none of its categories, and how often it does."""
NUM_NAMED = 3
MAX_AT_HAND = 2**26
"""Numbers of images that are made at once: 256 MiB."""


def read_rows(path: Path, card: DataCard, unseen: Unseen | None = None) -> NDArray[np.float32]:
    """Return the rows of a table (N, F), NaN where nothing is known, as `as_image` takes them. Raises `BrokenSample`.

    Where the card knows what the columns are, cells are places and numbers of categories, else plain numbers. What
    these do not know is put into `unseen`.
    """
    with reading(path):
        if path.suffix.lower() == ".npy":
            values = _read_array(path, card)
        else:
            table = read_table(path)
            if len(table) * num_cells(card) > MAX_NUMBERS:
                raise BrokenSample(str(path), f"holds more than {MAX_NUMBERS:,} numbers; split the file")
            ids = cell_columns(path, table.names, card)
            chosen = replace(table, columns=[table.columns[i] for i in ids])
            values = read_cells(chosen, card.columns) if card.columns else _plain_numbers(chosen)
            if unseen is not None and card.columns:
                unseen[path] = unseen_categories(chosen, card.columns)
        if len(values) == 0:
            raise BrokenSample(str(path), "has no rows")
        return values


def _plain_numbers(table: TextTable) -> NDArray[np.float32]:
    nothing = Missing()
    formats = number_formats(table, nothing)
    values = np.empty((len(table), len(table.columns)), np.float32)
    for place, cells in enumerate(table.columns):
        with np.errstate(over="ignore"):  # told below
            values[:, place] = numbers_of(table, cells, formats.get(cells.name, PLAIN), nothing)
    for row, place in np.argwhere(np.isinf(values))[:1].tolist():
        raise broken(table, row, table.names[place], "holds a number that is too large for float32")
    return values


def _read_array(path: Path, card: DataCard) -> NDArray[np.float32]:
    if card.columns:
        raise BrokenSample(str(path), "is an array, whose columns have no names; write the table as CSV or Parquet")
    values = read_npy(path, MAX_NUMBERS).astype(np.float32, copy=False)
    number = num_cells(card)
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


def image_of(cells: NDArray[np.float32], columns: Sequence[Column]) -> NDArray[np.float32]:
    """Return rows (…, F) as images (…, C, F) of samples; plain numbers have a single channel."""
    return as_image(cells, columns) if columns else cells[..., None, :].copy()


class Rows(FileParts):
    """The rows of tables, keys `path#row`, counted from 1 without the header."""

    def __init__(
        self,
        root: Path,
        paths: Sequence[str],
        read: Callable[[Path], NDArray[np.float32]],
        columns: Sequence[Column] = (),
        unseen: Unseen | None = None,
    ) -> None:
        """Take a root, files below it, what reads the rows of one, and what their columns are.

        `unseen` is where that puts the categories that it does not know.
        """
        self.columns, self.unseen = tuple(columns), {} if unseen is None else unseen
        super().__init__(root, paths, read)

    def notes(self) -> Sequence[str]:
        """Say which cells hold a category that training did not have: they are missing to the model."""
        by_column: dict[str, Counter[str]] = {}
        for found in self.unseen.values():
            for name, counts in found.items():
                by_column.setdefault(name, Counter()).update(counts)
        num = sum(counts.total() for counts in by_column.values())
        if not num:
            return ()
        parts = [f"{name} {counts.total():,} ({_examples(counts)})" for name, counts in by_column.items()]
        holds, are = ("holds a category", "is") if num == 1 else ("hold categories", "are")
        told = f"{number_of(num, 'cell')} {holds} that training did not have, and {are} missing to the model"
        return [f"{told}: {', '.join(parts)}"]

    def names(self, values: np.ndarray) -> Sequence[str]:
        return row_names(len(values))

    def part(self, values: np.ndarray, number: int) -> np.ndarray:
        return image_of(values[number], self.columns)


def _examples(counts: Counter[str]) -> str:
    return some((repr(shortened(text, 40)) for text, _ in counts.most_common()), NUM_NAMED)


def row_names(num: int) -> list[str]:
    """Return what follows a path in the keys of its rows."""
    return [f"#{row}" for row in range(1, num + 1)]


class TableRows(Split):
    """Some rows of one table that is in memory, a few bytes a cell; images are made when they are asked for."""

    def __init__(
        self,
        path: Path,
        keys: Sequence[str],
        cells: NDArray[np.float32],
        columns: Sequence[Column],
        others: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Take the file, and for each row its key and its cells (N, F), as `read_cells` returns them.

        `others` are further fields of samples, such as `label` (N,), by name.
        """
        self.path, self.cells, self.columns, self.others = path, cells, tuple(columns), dict(others or {})
        self._keys = keys

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> Sample:
        others = {name: np.asarray(values[index]) for name, values in self.others.items()}
        return {"image": image_of(self.cells[index], self.columns), **others}

    def size(self, index: int) -> tuple[int, ...]:
        return (self.cells.shape[1],)

    def files(self, index: int) -> Sequence[Path]:
        return [self.path]

    def view(self, ids: Sequence[int]) -> TableRows:
        """Return the rows at these positions, in memory too."""
        places = list(ids)
        others = {name: values[places] for name, values in self.others.items()}
        return TableRows(self.path, [self._keys[i] for i in places], self.cells[places], self.columns, others)

    def at_hand(self) -> Split:
        """Return the same rows with their images made, where these are few enough to stay in memory."""
        if len(self.cells) * num_channels(self.columns) * self.cells.shape[1] > MAX_AT_HAND:
            return self
        fields = {"image": image_of(self.cells, self.columns), **self.others}
        return RowTensors(self.path, {name: torch.from_numpy(array) for name, array in fields.items()}, self._keys)


class RowTensors(TensorSplit):
    """Rows of one table whose images are made."""

    def __init__(self, path: Path, tensors: Mapping[str, Tensor], keys: Sequence[str]) -> None:
        super().__init__(tensors, keys)
        self.path = path

    def files(self, index: int) -> Sequence[Path]:
        return [self.path]

    def view(self, ids: Sequence[int]) -> RowTensors:
        whole = super().view(ids)
        return RowTensors(self.path, whole.tensors, whole.keys)
