"""CSV files: their rows, columns of them as numbers, and new ones.

UTF-8 with or without a byte-order mark, or UTF-16 with one; separated by commas, semicolons or tabs, quoted as RFC 4180
says; the first row names the columns. Whatever is wrong with a file becomes a `BrokenSample` that names the line, and
the column.

Shapes: N rows, F columns.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from maecli.errors import BrokenSample

MAX_BYTES = 2**32
"""Of a file: 40 million rows of 100 bytes. Rows are read one by one."""
MAX_LINE, MAX_LINES_IN_ROW = 2**20, 1000
"""Characters of a line, and lines of a row whose cells hold line breaks."""
MAX_NUMBERS = 2**28
"""Of the columns that are read as numbers: 1 GiB."""
DELIMITERS = (",", ";", "\t")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MISSING = frozenset({"", "na", "n/a", "nan", "null"})
"""Cells that hold no number, in lower case."""


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the stripped cells of each row, the header first; empty lines are passed over."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BrokenSample(str(path), f"is larger than {MAX_BYTES:,} bytes")
        with path.open("rb") as file:
            encoding = "utf-16" if file.read(2) in _UTF_16 else "utf-8-sig"
        with path.open(encoding=encoding, newline="") as file:
            first, second = file.readline(MAX_LINE), file.readline(MAX_LINE)
            file.seek(0)
            lines = _Lines(path, file)
            told = first.strip() if first[:4].lower() == "sep=" else ""  # by Excel, in a line before the header
            delimiter = told[4:5] or _delimiter(first, second)
            reader = csv.reader(lines, delimiter=delimiter)
            for cells in reader:
                lines.since_row = 0
                if cells and not (told and reader.line_num == 1):
                    yield reader.line_num, [cell.strip() for cell in cells]
    except UnicodeError as error:
        raise BrokenSample(str(path), "not UTF-8 text; save it as CSV in UTF-8 (in Excel: CSV UTF-8)") from error
    except (OSError, csv.Error) as error:
        raise BrokenSample(str(path), f"cannot be read ({error})") from error


def _delimiter(header: str, row: str) -> str:
    """Return what separates the cells of a header: of several the one that the row below it has as often, and most."""
    counts = {each: [_num_cells(line, each) for line in (header, row)] for each in DELIMITERS}
    there = [each for each in DELIMITERS if counts[each][0] > 1]
    agreeing = [each for each in there if counts[each][0] == counts[each][1]]
    return max(agreeing, key=lambda each: counts[each][0]) if agreeing else (there or [","])[0]


def _num_cells(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


class _Lines:
    """The lines of a table, none too long, and not too many in one row."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file, self.since_row = path, file, 0

    def __iter__(self) -> Iterator[str]:
        number = 0
        while line := self.file.readline(MAX_LINE + 1):
            number, self.since_row = number + 1, self.since_row + 1
            if len(line) > MAX_LINE or self.since_row > MAX_LINES_IN_ROW:
                reason = f"line {number}: too long for a row of a table; close the quotes before it"
                raise BrokenSample(str(self.path), reason)
            yield line


def csv_head(path: Path) -> tuple[list[str], list[str]]:
    """Return the names of the columns, and the cells of the first row below them, none where there is none."""
    rows = csv_rows(path)
    _, names = next(rows, (1, []))
    if not any(names):
        raise BrokenSample(str(path), "is empty; its first line must name the columns")
    if all(is_number(name) for name in names):
        raise BrokenSample(str(path), "line 1: holds numbers; the first line must name the columns")
    return names, next(rows, (1, []))[1]


def csv_numbers(path: Path, ids: Sequence[int]) -> np.ndarray:
    """Return the columns `ids` as numbers (N, F) float32, NaN where a cell is missing."""
    rows = csv_rows(path)
    _, names = next(rows, (1, []))
    lines, numbers = array("Q"), array("f")
    for line, cells in rows:
        if len(cells) != len(names):
            if not any(cells):
                continue
            rule = "quote cells with commas, and write decimals with a point"
            raise BrokenSample(str(path), f"line {line}: {len(cells)} cells under {len(names)} columns; {rule}")
        chosen = [cells[i] for i in ids]
        try:
            row = [*map(float, chosen)] if "_" not in "".join(chosen) else None  # float() takes 1_000 for a number
        except ValueError:
            row = None
        if row is None:
            row = [_number(cell, path, line, names[i]) for i, cell in zip(ids, chosen, strict=True)]
        numbers.extend(row)
        lines.append(line)
        if len(numbers) > MAX_NUMBERS:
            raise BrokenSample(str(path), f"line {line}: holds more than {MAX_NUMBERS:,} numbers; split the file")
    values = (
        np.frombuffer(numbers, np.float32).reshape(-1, len(ids)) if numbers else np.zeros((0, len(ids)), np.float32)
    )
    for n, f in np.argwhere(np.isinf(values))[:1].tolist():
        raise _broken(path, lines[n], names[ids[f]], "holds a number that is infinite, or too large for float32")
    return values


def _number(cell: str, path: Path, line: int, column: str) -> float:
    if cell.lower() in MISSING:
        return float("nan")
    if is_number(cell):
        return float(cell)
    if cell.count(",") == 1 and is_number(pointed := cell.replace(",", ".")):
        raise _broken(path, line, column, f"{cell[:40]!r} has a decimal comma; write {pointed[:40]}")
    raise _broken(path, line, column, f"{cell[:40]!r} is not a number; leave the cell empty where none is known")


def _broken(path: Path, line: int, column: str, reason: str) -> BrokenSample:
    return BrokenSample(str(path), f"line {line}, column {column[:60]!r}: {reason}")


def is_number(cell: str) -> bool:
    """Whether a cell holds a number as csv_numbers reads it, with a decimal point."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def csv_bytes(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return the contents of a file; of float32 the shortest decimals that mean it, nothing for NaN."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(["" if cell != cell else cell for cell in row] for row in rows)  # NaN alone differs from itself
    return text.getvalue().encode()
