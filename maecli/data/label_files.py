"""Tables of labels: a CSV file that gives pictures their class, split and group."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from maecli.data.card import SplitName
from maecli.errors import DataError

LABELS_FILE = "labels.csv"
MAX_BYTES = 2**32
"""Of a table: 40 million rows of 100 bytes. Rows are read one by one, and kept only for pictures that are there."""
MAX_LINE, MAX_LINES_IN_ROW = 2**20, 1000
"""Characters of a line, and lines of a row whose cells hold line breaks."""

SPLIT_WORDS: Mapping[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of folders, and cells of the split column, that mean a split; in lower case."""


@dataclass(frozen=True)
class LabelRow:
    """One line of a table of labels."""

    line: int
    label: str
    split: SplitName | None
    group: str


def read_labels(path: Path, keys: Set[str]) -> dict[str, LabelRow] | None:
    """Return the rows of a `labels.csv`, file → row; None if there is no such file.

    UTF-8 with or without a byte-order mark, separated by commas or semicolons, with a header; columns may stand
    in any order, and others are ignored. The column label may be left out where split or group is there. Raises
    `DataError` naming the line.
    """
    if not path.exists():
        return None
    lines = _table(path)
    columns = [name.lower() for name in next(lines, (1, []))[1]]
    for needed in ("file",) if {"split", "group"} & set(columns) else ("file", "label"):
        if needed not in columns:
            raise DataError(
                f"{path}, line 1: no column {needed!r} among {', '.join(columns) or 'none'}; the first line "
                "must name the columns file and label, and may name split and group"
            )
    rows: dict[str, LabelRow] = {}
    for line, cells in lines:
        where = f"{path}, line {line}:"
        if len(cells) != len(columns):
            raise DataError(f"{where} {len(cells)} cells under {len(columns)} columns; quote cells with commas")
        row = dict(zip(columns, cells, strict=True))
        key, split = _as_key(row["file"], keys), row.get("split", "").lower()
        if key not in keys:
            raise DataError(f"{where} {row['file']!r} is not a picture in {path.parent}; write paths relative to it")
        if key in rows:
            raise DataError(f"{where} {row['file']!r} stands in line {rows[key].line} already; keep one of them")
        if split and split not in SPLIT_WORDS:
            raise DataError(f"{where} unknown split {row['split']!r}; use train, val or test")
        rows[key] = LabelRow(line, row.get("label", ""), SPLIT_WORDS.get(split), row.get("group", ""))
    return rows


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbered lines that hold anything, the header first; cells are stripped."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: is larger than {MAX_BYTES:,} bytes; give each picture one short line")
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline(MAX_LINE)
            file.seek(0)
            lines = _Lines(path, file)
            reader = csv.reader(lines, delimiter=";" if ";" in header and "," not in header else ",")
            for cells in reader:
                lines.since_row = 0
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield reader.line_num, stripped
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


class _Lines:
    """The lines of a table, none too long, and not too many in one row."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file, self.since_row = path, file, 0

    def __iter__(self) -> Iterator[str]:
        number = 0
        while line := self.file.readline(MAX_LINE + 1):
            number, self.since_row = number + 1, self.since_row + 1
            if len(line) > MAX_LINE or self.since_row > MAX_LINES_IN_ROW:
                raise DataError(
                    f"{self.path}, line {number}: too long for a row of a table; close the quotes before it"
                )
            yield line


def _as_key(name: str, keys: Set[str]) -> str:
    """Return the key that a path in the table means: backslashes and a leading ./ are understood."""
    return name if name in keys else name.replace("\\", "/").removeprefix("./")
