"""Tables from files: CSV in whatever dialect, or Parquet."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from maecli.data.tabular.dialect import LEGACY, find_dialect
from maecli.data.tabular.names import distinct_names
from maecli.data.tabular.records import Record, records
from maecli.data.tabular.table import BLOCK, TextColumn, TextTable
from maecli.errors import BrokenSample

PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", ".tab", *PARQUET)
"""How names of files end that hold tables, in lower case."""
MAX_COLUMNS = 10_000


def read_table(path: Path) -> TextTable:
    """Return all cells of a CSV or Parquet file as text, by column.

    CSV is UTF-8, UTF-16 with a byte-order mark, or else Windows-1252; separated by commas, semicolons, tabs or bars,
    quoted as RFC 4180 says; the first row names the columns; empty lines are passed over. Time and memory grow as the
    file does. Raises BrokenSample that names the line where a row has more or fewer cells than there are columns, and
    where the file holds no names, or is no such text.
    """
    try:
        if path.suffix.lower() in PARQUET:
            from maecli.data.tabular.parquet import read_parquet  # which needs a package of its own

            return read_parquet(path)
        return _read_csv(path)
    except (OSError, csv.Error, UnicodeError) as error:
        raise unreadable(path, error) from error


def read_names(path: Path) -> list[str]:
    """Return the names of the columns of a file, without reading more. Raises BrokenSample as `read_table` does."""
    try:
        if path.suffix.lower() in PARQUET:
            from maecli.data.tabular.parquet import parquet_names

            return distinct_names(parquet_names(path))[0]
        return _header(path, (record for record in records(path, find_dialect(path, legacy=True)) if record.cells))[0]
    except (OSError, csv.Error, UnicodeError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> BrokenSample:
    """Return what an error says of a CSV file."""
    if isinstance(error, UnicodeDecodeError):
        name = error.encoding.upper().removesuffix("-LE").removesuffix("-BE")
        return BrokenSample(str(path), f"is damaged: not all of it is text in {name}; save it as CSV in UTF-8")
    return BrokenSample(str(path), f"cannot be read ({error})")


def _header(path: Path, rows: Iterator[Record]) -> tuple[list[str], list[str]]:
    """Return distinct names of the columns, and sentences on them, of the first of some rows."""
    header = next(rows, None)
    names = [cell.strip() for cell in header.cells] if header is not None else []
    check_header(path, names)
    return distinct_names(names)


def _read_csv(path: Path) -> TextTable:
    dialect = find_dialect(path, legacy=True)
    rows = (record for record in records(path, dialect) if record.cells)
    distinct, notes = _header(path, rows)
    if dialect.encoding == LEGACY:
        notes.append("is not UTF-8 and was read as Windows-1252; look whether its letters are right")
    columns = [TextColumn(name) for name in distinct]
    lines, block = array("q"), list[list[str]]()
    for record in rows:
        if len(record.cells) != len(columns):
            if not any(map(str.strip, record.cells)):
                continue
            raise BrokenSample(str(path), _ragged(record.line, len(record.cells), len(columns), dialect.delimiter))
        block.append([cell.strip() for cell in record.cells])
        lines.append(record.line)
        if len(block) == BLOCK:
            _extend(columns, block)
            block.clear()
    if block:
        _extend(columns, block)
    return TextTable(path, columns, np.array(lines, np.int64), notes, decimal_commas=dialect.delimiter == ";")


def _extend(columns: Sequence[TextColumn], rows: Sequence[Sequence[str]]) -> None:
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        column.extend(cells)


def check_header(path: Path, names: Sequence[str]) -> None:
    """Raise BrokenSample unless some text names the columns."""
    if not any(names):
        raise BrokenSample(str(path), "is empty; its first line must name the columns")
    if all(map(_is_number, names)):
        raise BrokenSample(str(path), "line 1: holds numbers; the first line must name the columns")
    if len(names) > MAX_COLUMNS:
        raise BrokenSample(str(path), f"has {len(names):,} columns, more than {MAX_COLUMNS:,}")


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _ragged(line: int, cells: int, columns: int, delimiter: str) -> str:
    marks = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
    rule = f"quote cells that hold {marks.get(delimiter, repr(delimiter))}"
    return f"line {line}: has {cells} cell{'' if cells == 1 else 's'} under {columns} columns; {rule}, and fill up rows"
