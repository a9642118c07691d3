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

import numpy as np

from maecli.data.tabular.dialect import find_dialect
from maecli.data.tabular.missing import Missing
from maecli.data.tabular.read import check_header
from maecli.data.tabular.records import records
from maecli.errors import BrokenSample
from maecli.storage.tables import cell_text
from maecli.text import number_of

MAX_NUMBERS = 2**28
"""Of the columns that are read as numbers: 1 GiB."""


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the stripped cells of each row, the header first; empty lines are passed over."""
    try:
        for record in records(path, find_dialect(path)):
            if record.cells:
                yield record.line, [cell.strip() for cell in record.cells]
    except UnicodeError as error:
        raise BrokenSample(str(path), "not UTF-8 text; save it as CSV in UTF-8 (in Excel: CSV UTF-8)") from error
    except (OSError, csv.Error) as error:
        raise BrokenSample(str(path), f"cannot be read ({error})") from error


def csv_head(path: Path) -> tuple[list[str], list[str]]:
    """Return the names of the columns, and the cells of the first row below them, none where there is none."""
    rows = csv_rows(path)
    _, names = next(rows, (1, []))
    check_header(path, names)
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
            raise BrokenSample(
                str(path),
                f"line {line}: {number_of(len(cells), 'cell')} under {number_of(len(names), 'column')}; {rule}",
            )
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
    if Missing()(cell):
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
    """Return the contents of a file; of float32 the shortest decimals that mean it, nothing for NaN.

    Text that begins like a formula is marked as text, as in all tables that mae makes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(cell_text, names))
    writer.writerows(map(_written, row) for row in rows)
    return text.getvalue().encode()


def _written(cell: object) -> object:
    if isinstance(cell, str):
        return cell_text(cell)
    return "" if cell != cell else cell  # NaN alone differs from itself
