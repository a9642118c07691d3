"""Rows of predictions, on disk as they are made: how many pictures there are takes no memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from maecli.storage.files import disk_errors, sync
from maecli.storage.tables import csv_line

Row = Mapping[str, str | int | float]


class RowWriter:
    """Writes rows as JSON lines and, when all are there, as CSV whose columns are all that any row has.

    JSON lines hold every name exactly: what is not printable, or no UTF-8, is an escape there. Rows are finite.
    """

    def __init__(self, jsonl: Path, csv: Path, on_row: Callable[[Row], None] = lambda _: None) -> None:
        """Take where rows go, and who is told of each."""
        self.jsonl, self.csv, self.on_row = jsonl, csv, on_row
        self.num = 0
        self._columns: list[str] = []
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        with disk_errors(self.jsonl):
            self._file = self.jsonl.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with disk_errors(self.jsonl):
            self._file.close()
        if kind is None:
            self._write_csv()
            for path in (self.jsonl, self.csv):
                with disk_errors(path):
                    sync(path)

    def add(self, rows: Iterable[Row]) -> None:
        """Write rows."""
        lines = []
        for row in rows:
            self._take_columns(row)
            self.on_row(row)
            lines.append(_json_line(row))
        with disk_errors(self.jsonl):
            self._file.writelines(lines)
        self.num += len(lines)

    def _take_columns(self, row: Row) -> None:
        """Put each column that is new behind the one that stands before it in the row."""
        if row.keys() <= self._known:
            return
        place = 0
        for name in row:
            if name in self._known:
                place = self._columns.index(name)
            else:
                self._columns.insert(place, name)
                self._known.add(name)
            place += 1

    def _write_csv(self) -> None:
        columns = self._columns or ["path"]
        with disk_errors(self.csv), self.csv.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_line(columns))
            with self.jsonl.open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    row = json.loads(line)
                    file.write(csv_line(row.get(column, "") for column in columns))


def _json_line(row: Row) -> str:
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return (text if text.isprintable() else json.dumps(row, allow_nan=False)) + "\n"
