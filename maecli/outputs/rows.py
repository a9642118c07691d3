"""Rows of predictions, on disk as they are made: how many pictures there are takes no memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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

    def __init__(self, jsonl: Path, csv: Path) -> None:
        self.jsonl, self.csv = jsonl, csv
        self.num = 0
        self._columns: dict[str, None] = {}

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
            self._columns.update(dict.fromkeys(row))
            lines.append(_json_line(row))
        with disk_errors(self.jsonl):
            self._file.writelines(lines)
        self.num += len(lines)

    def _write_csv(self) -> None:
        columns = list(self._columns) or ["path"]
        with disk_errors(self.csv), self.csv.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_line(columns))
            with self.jsonl.open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    row = json.loads(line)
                    file.write(csv_line(row.get(column, "") for column in columns))


def _json_line(row: Row) -> str:
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return (text if text.isprintable() else json.dumps(row, allow_nan=False)) + "\n"
