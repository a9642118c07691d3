"""A CSV file handed back with some of its cells filled, and all else as it is, byte by byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from maecli.data.tabular.dialect import find_dialect
from maecli.data.tabular.records import records
from maecli.errors import BrokenSample


def filled(path: Path, cells: Mapping[int, Mapping[int, str]]) -> Iterator[bytes]:
    """Yield the contents of a CSV file, with other text in some of its cells.

    `cells` holds for a row, counted from 0 below the header as `read_table` counts, what its columns, counted from 0,
    hold now. Text is quoted where it must be, and where the cell was. Raises BrokenSample where the file has no such
    cell, as when it was changed since it was read, or cannot write the text.
    """
    dialect = find_dialect(path, legacy=True)
    yield dialect.mark
    row, columns = -1, 0
    for record in records(path, dialect):
        text = "".join(record.lines)
        if record.cells and row < 0:
            row, columns = 0, len(record.cells)
        elif len(record.cells) == columns or any(map(str.strip, record.cells)):
            if changed := cells.get(row):
                text = _with(text, dialect.delimiter, changed, path, record.line)
            row += 1
        try:
            yield text.encode(dialect.encoding)
        except UnicodeEncodeError as error:
            reason = f"line {record.line}: {error.object[error.start]!r} is no letter of {dialect.encoding}"
            raise BrokenSample(str(path), reason) from error
    lacking = next((number for number in cells if number >= max(row, 0)), None)
    if lacking is not None:
        raise BrokenSample(str(path), f"has no row {lacking + 1}; was it changed since it was read?")


def _with(text: str, delimiter: str, cells: Mapping[int, str], path: Path, line: int) -> str:
    """Return the text of a record with some of its cells replaced."""
    content = text.rstrip("\r\n")
    parts = list(_raw_cells(content, delimiter))
    for column, cell in cells.items():
        if column >= len(parts):
            raise BrokenSample(str(path), f"line {line}: has no cell {column + 1}; was it changed since it was read?")
        parts[column] = _written(cell, delimiter, quoted=parts[column].startswith('"'))
    return delimiter.join(parts) + text[len(content) :]


def _raw_cells(text: str, delimiter: str) -> Iterator[str]:
    """Yield the cells of a record as they are written, with their quotes."""
    start, place, quoted = 0, 0, text.startswith('"')
    while place < len(text):
        letter = text[place]
        if quoted:
            place += 1 if place == start else 0
            end = text.find('"', place)
            while end >= 0 and text[end + 1 : end + 2] == '"':
                end = text.find('"', end + 2)
            place, quoted = (len(text) if end < 0 else end + 1), False
        elif letter == delimiter:
            yield text[start:place]
            start = place = place + 1
            quoted = text[place : place + 1] == '"'
        else:
            place += 1
    yield text[start:]


def _written(cell: str, delimiter: str, quoted: bool) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerow([cell, ""])
    return buffer.getvalue().removesuffix("\r\n").removesuffix('""').removesuffix(delimiter)
