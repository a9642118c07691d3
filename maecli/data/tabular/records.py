"""The records of a CSV file: rows of cells, each with the text that it is written in."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from maecli.data.tabular.dialect import MAX_LINE, Dialect
from maecli.errors import BrokenSample

MAX_LINES_IN_RECORD = 1000
"""Lines of a row whose cells hold line breaks."""


class Record(NamedTuple):
    """A row of a file, the header one of them; an empty line, or one that tells the delimiter, has no cells."""

    line: int
    """The last line of it, counted from 1."""
    cells: list[str]
    """What they hold, without the quotes."""
    lines: list[str]
    """What stands in the file, with the line ends."""


def records(path: Path, dialect: Dialect) -> Iterator[Record]:
    """Yield all that a file holds, in order: cells of rows, and the lines that they are written in.

    Raises BrokenSample for quotes that are not closed within bounds, OSError, UnicodeError, csv.Error.
    """
    with dialect.open(path) as file:
        lines = _Lines(path, file)
        reader = csv.reader(lines, delimiter=dialect.delimiter)
        for cells in reader:
            told = dialect.told and reader.line_num == 1
            yield Record(reader.line_num, [] if told else cells, lines.take())


class _Lines:
    """The lines of a table, none too long, and not too many in one row."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file = path, file
        self._taken: list[str] = []

    def take(self) -> list[str]:
        """Return the lines since the last call."""
        taken, self._taken = self._taken, []
        return taken

    def __iter__(self) -> Iterator[str]:
        number = 0
        while line := self.file.readline(MAX_LINE + 1):
            number += 1
            self._taken.append(line)
            if len(line) > MAX_LINE or len(self._taken) > MAX_LINES_IN_RECORD:
                reason = f"line {number}: too long for a row of a table; close the quotes before it"
                raise BrokenSample(str(self.path), reason)
            yield line
