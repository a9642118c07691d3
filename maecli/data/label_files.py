"""Tables of labels: a CSV file that gives pictures their class, split and group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from maecli.data.card import SplitName
from maecli.data.csv_files import csv_rows
from maecli.errors import BrokenSample, DataError

LABELS_FILE = "labels.csv"

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
        yield from ((line, cells) for line, cells in csv_rows(path) if any(cells))
    except BrokenSample as error:
        raise DataError(str(error)) from error


def _as_key(name: str, keys: Set[str]) -> str:
    """Return the key that a path in the table means: backslashes and a leading ./ are understood."""
    return name if name in keys else name.replace("\\", "/").removeprefix("./")
