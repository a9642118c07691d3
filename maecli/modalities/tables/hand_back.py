"""Tables handed back with their missing cells filled in.

Shapes: N rows, F cells of a row, C channels of a sample.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.data.csv_files import MAX_NUMBERS
from maecli.data.tabular.columns import Column, as_cells, missing_cells, written_forms
from maecli.data.tabular.filled import filled
from maecli.data.tabular.missing import Missing
from maecli.data.tabular.read import PARQUET, read_table
from maecli.modalities.arrays import read_npy
from maecli.modalities.files import reading
from maecli.modalities.hand_back import HandBack
from maecli.modalities.tables.read import cell_columns
from maecli.text import number_of, some

MARK = ".mark"
ROWS_AT_ONCE = 2**14
"""Of a file that says which cells were filled in, rows of one piece."""


class FilledTable(HandBack):
    """A CSV or Parquet file, whose cells are written as the others of their column in that file."""

    def __init__(self, source: Path, card: DataCard) -> None:
        self.source = source
        with reading(source):
            self.table = read_table(source)
            self.ids = cell_columns(source, self.table.names, card)
        names = [self.table.names[i] for i in self.ids]
        self.columns = card.columns or tuple(Column(name=name, kind="number", knots=(0.0, 1.0)) for name in names)
        self.missing = missing_cells(self.table, self.columns)  # (N, F)
        self.cells = np.full(self.missing.shape, np.nan, np.float32)

    def add(self, part: str, values: NDArray[Any]) -> None:
        row = int(part) - 1
        if self.missing[row].any():
            self.cells[row] = np.where(self.missing[row], as_cells(values, self.columns), np.nan)

    def contents(self) -> Iterable[bytes]:
        if self.source.suffix.lower() in PARQUET:
            from maecli.data.tabular.parquet import filled_parquet  # which needs a package of its own

            return [filled_parquet(self.source, self._texts)]
        return filled(self.source, self._texts)

    @cached_property
    def _texts(self) -> Mapping[int, Mapping[int, str]]:
        """What the filled cells hold, by row and by column of the file, made when it is asked for."""
        return _Texts(self.cells, self.ids, self.columns, written_forms(self.table, self.columns))

    def mark(self) -> tuple[str, Iterable[bytes]]:
        """Return a CSV file of as many rows and columns, 1 where a cell was filled in and 0 elsewhere."""
        return f"{MARK}.csv", self._marks()

    def _marks(self) -> Iterator[bytes]:
        yield _lines([self.table.names])
        for start in range(0, len(self.cells), ROWS_AT_ONCE):
            there = ~np.isnan(self.cells[start : start + ROWS_AT_ONCE])
            marks = np.zeros((len(there), len(self.table.names)), np.int8)
            marks[:, self.ids] = there
            yield _lines(marks.tolist())

    def notes(self) -> Sequence[str]:
        num = (~np.isnan(self.cells)).sum(0)
        counts = [f"{column.name} {count:,}" for column, count in zip(self.columns, num.tolist(), strict=True) if count]
        total = number_of(int(num.sum()), "missing cell", "missing cells")
        told = [f"{total} of {self.source.name} filled in" + (f": {some(counts)}" if counts else "")]
        told += [
            f"the column {column.name!r} holds nothing there; what is filled in is as in the rows learnt from"
            for column, missing in zip(self.columns, self.missing.T, strict=True)
            if missing.all()
        ]
        return [*told, *self._left()]

    def _left(self) -> Iterator[str]:
        """Yield what is said of columns with missing cells that the model does not know."""
        nothing = Missing(self.columns[0].missing)
        for place, column in enumerate(self.table.columns):
            if place in self.ids:
                continue
            num = sum(map(nothing, column))
            if num == len(self.table):
                yield f"the column {column.name!r} holds nothing, and is kept as it is"
            elif num:
                cells = number_of(num, "missing cell", "missing cells")
                yield f"the column {column.name!r} is kept as it is, with {cells}: the model did not learn it"


class FilledArray(HandBack):
    """An array (N, F) in an `.npy` file."""

    def __init__(self, source: Path) -> None:
        with reading(source):
            self.values = np.array(read_npy(source, MAX_NUMBERS))
        self.source, self.missing = source, np.isnan(self.values)
        self.filled = np.zeros_like(self.missing)

    def add(self, part: str, values: NDArray[Any]) -> None:
        row = int(part) - 1
        here = self.missing[row] & ~np.isnan(values[0])
        self.values[row, here], self.filled[row, here] = values[0, here], True

    def contents(self) -> Iterable[bytes]:
        return [_npy(self.values)]

    def mark(self) -> tuple[str, Iterable[bytes]]:
        """Return an array of truths, whether a cell was filled in."""
        return f"{MARK}.npy", [_npy(self.filled)]

    def notes(self) -> Sequence[str]:
        return [f"{number_of(int(self.filled.sum()), 'missing cell', 'missing cells')} of {self.source.name} filled in"]


class _Texts(Mapping[int, Mapping[int, str]]):
    """The texts of cells (N, F) that are not NaN, by row and column: the rows that have any, in order."""

    def __init__(
        self, cells: NDArray[np.float32], ids: Sequence[int], columns: Sequence[Column], forms: Sequence[Any]
    ) -> None:
        self.cells, self.ids, self.columns, self.forms = cells, ids, columns, forms
        self._there = ~np.isnan(cells)
        self._rows = np.asarray(self._there.any(1))

    def __getitem__(self, row: int) -> Mapping[int, str]:
        if not (0 <= row < len(self.cells) and self._rows[row]):
            raise KeyError(row)
        places = np.flatnonzero(self._there[row]).tolist()
        return {
            self.ids[place]: self.columns[place].text(float(self.cells[row, place]), self.forms[place])
            for place in places
        }

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._rows).tolist())

    def __len__(self) -> int:
        return int(self._rows.sum())


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Return lines of a person's own CSV: names as they are, also those that begin as formulas do."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def _npy(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
