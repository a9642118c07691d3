"""Tables of labels: a CSV file that gives pictures their class, split and group."""

from __future__ import annotations

import _csv
import csv
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from maecli.data.card import SplitName
from maecli.errors import DataError

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


def read_labels(path: Path, known: Set[str]) -> dict[str, LabelRow] | None:
    """Return the rows of a `labels.csv`, file → row; None if there is no such file.

    UTF-8 with or without a byte-order mark, separated by commas or semicolons, with a header; columns may stand
    in any order, and others are ignored. The column label may be left out where split or group is there. Raises
    `DataError` naming the line.
    """
    if not path.exists():
        return None
    columns, lines = _read_table(path)
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
        key, split = _as_key(row["file"], known), row.get("split", "").lower()
        if key not in known:
            raise DataError(f"{where} {row['file']!r} is not a picture in {path.parent}; write paths relative to it")
        if key in rows:
            raise DataError(f"{where} {row['file']!r} stands in line {rows[key].line} already; keep one of them")
        if split and split not in SPLIT_WORDS:
            raise DataError(f"{where} unknown split {row['split']!r}; use train, val or test")
        rows[key] = LabelRow(line, row.get("label", ""), SPLIT_WORDS.get(split), row.get("group", ""))
    return rows


def check_groups(path: Path, given: Mapping[str, SplitName], rows: Mapping[str, LabelRow]) -> None:
    """Raise `DataError` for a group whose pictures were given to two splits."""
    first: dict[str, str] = {}
    for key, row in rows.items():
        if not row.group or key not in given:
            continue
        other = first.setdefault(row.group, key)
        if given[other] != given[key]:
            raise DataError(
                f"{path}, line {row.line}: group {row.group!r} is in {given[key]} here and in {given[other]} "
                f"in line {rows[other].line}; a group must stay in one split"
            )


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header in lower case, and the numbered lines that hold anything; cells are stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = ";" if ";" in header and "," not in header else ","
            lines = list(_numbered(csv.reader(file, delimiter=delimiter)))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return ([name.lower() for name in lines[0][1]], lines[1:]) if lines else ([], [])


def _numbered(reader: _csv.Reader) -> Iterator[tuple[int, list[str]]]:
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield reader.line_num, stripped


def _as_key(name: str, known: Set[str]) -> str:
    """Return the key that a path in the table means: backslashes and a leading ./ are understood."""
    return name if name in known else name.replace("\\", "/").removeprefix("./")
