"""Tables of labels: a CSV file that gives pictures their class, split and group."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from maecli.data.card import SplitName
from maecli.data.classes.alike import alike, tidy
from maecli.data.classes.label_columns import Columns, choose_columns, plain
from maecli.data.classes.label_rows import GrowingRows, LabelRow, LabelRows
from maecli.data.classes.named_keys import Ambiguous, NamedKeys
from maecli.data.csv_files import csv_rows
from maecli.data.views.by_key import NONE, ByKey
from maecli.data.views.keys import Keys
from maecli.errors import BrokenSample, DataError, Fault
from maecli.text import number_of

LABELS_FILE = "labels.csv"
LABELS_FILES = (LABELS_FILE, "labels.tsv")
"""What a table of labels is called, in capitals or not; a folder has one of them."""

SPLIT_WORDS: Mapping[str, SplitName] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
"""Cells of the split column that mean a split; in lower case."""
_NO_LETTERS = re.compile(r"[^a-z]+")

Similar = Literal["refuse", "join", "keep"]
"""What to make of labels that differ by case, blanks or the writing of a number alone."""

MOST_VANISHED = 0.5
"""Share of the rows that may name no picture: of more, the table is not of this folder."""
NUM_PEEKED = 100
ROWS_AT_ONCE = 1 << 12
"""That are held at a time."""
_SEVERAL = re.compile(r"[;|]")


@dataclass
class _Counts:
    """What is passed over or joined while a table is read, and told afterwards."""

    headers: int = 0
    repeated: int = 0
    joined: int = 0
    loose: bool = False
    lines: dict[str, int] = field(default_factory=dict)
    """Label → the line where it stands first."""

    def words(self) -> Iterator[str]:
        if self.loose:
            yield "files without their folders"
        if self.headers:
            yield f"{self.headers:,} repeated header{'s' * (self.headers > 1)} passed over"
        if self.repeated:
            yield f"{self.repeated:,} row{'s' * (self.repeated > 1)} there twice"
        if self.joined:
            yield f"{self.joined:,} label{'s' * (self.joined > 1)} joined that differ by case, blanks or writing"


def split_in_path(path: str) -> SplitName | None:
    """Return the split that the first such word in a path says, as in `birds-train-000000.tar`; None without one."""
    words = _NO_LETTERS.split(path.lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)


def find_labels(root: Path) -> Path | None:
    """Return a folder's table of labels, None if it has none. Raises `DataError` for several."""
    try:
        found = sorted(path for path in root.iterdir() if path.name.lower() in LABELS_FILES)
    except OSError:
        return None
    if len(found) > 1:
        raise DataError(f"{root} has {' and '.join(path.name for path in found)}; keep one table of labels")
    return found[0] if found else None


def read_labels(
    path: Path,
    keys: Collection[str],
    *,
    similar: Similar = "refuse",
    several: bool = False,
    most_vanished: float = MOST_VANISHED,
) -> LabelRows | None:
    """Return the rows of a `labels.csv`, file → row; None if there is no such file.

    UTF-8 with or without a byte-order mark, or UTF-16 with one, separated by commas, semicolons or tabs, with a
    header; columns may stand in any order, are found by the names of `COLUMNS`, and others are ignored. The column
    label may be left out where split or group is there. Rows of pictures that are not there become faults.

    Args:
        similar: what to make of labels that look alike.
        several: whether a cell may hold several labels, joined by ;.
        most_vanished: share of the rows that may name no picture.

    Raises `DataError` naming the line.
    """
    if not path.exists():
        return None
    lines = _table(path)
    number, header = next(lines, (1, []))
    names = NamedKeys(path.parent, keys)
    if any(place != NONE for place in names.exact(header)):
        raise DataError(f"{path}, line {number}: names a picture and no columns; write file,label in a line above it")
    peeked = list(islice(lines, NUM_PEEKED))
    files = [] if "file" in map(plain, header) else _num_files(header, peeked, names)
    columns = choose_columns(path, number, header, files, _num_splits(header, peeked))
    counts = _Counts()
    if not _names_any(path, header, columns, names):
        names, counts.loose = NamedKeys(path.parent, names.keys, loose=True), True
    growing, faults, num = _read(path, columns, _rows(path, header, counts), names, counts)
    if faults and (not len(growing) or len(faults) > most_vanished * num):
        raise _of_another_folder(path, faults, num, names.keys)
    counts.loose = counts.loose and bool(len(growing))
    rows = growing.rows(faults=[fault for _, fault in faults])
    if similar != "keep":
        rows.labels = _joined(path, rows.labels, similar, counts)
    if not several:
        _check_single(path, rows)
    said = [f"columns {', '.join(columns.names.values())}", *counts.words()]
    rows.reading = f"{path.name} ({'; '.join(said)})"
    return rows


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbered lines that hold anything, the header first; cells are stripped."""
    try:
        yield from ((line, cells) for line, cells in csv_rows(path) if any(cells))
    except BrokenSample as error:
        raise DataError(str(error)) from error


def _num_files(header: Sequence[str], rows: Sequence[tuple[int, list[str]]], names: NamedKeys) -> list[int]:
    """Return in how many rows each column names a picture."""

    def is_file(cell: str) -> bool:
        try:
            return names.place(cell) != NONE
        except Ambiguous:
            return True

    return [sum(is_file(cells[i]) for _, cells in rows if i < len(cells)) for i in range(len(header))]


def _num_splits(header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> list[int]:
    """Return in how many rows each column names a split, -1 for one that says something else."""
    columns = [[cells[i].lower() for _, cells in rows if i < len(cells) and cells[i]] for i in range(len(header))]
    return [len(cells) if all(cell in SPLIT_WORDS for cell in cells) else -1 for cells in columns]


def _rows(path: Path, header: Sequence[str], counts: _Counts) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table without repetitions of its header. Raises `DataError` for rows of other lengths."""
    names = [plain(name) for name in header]
    for line, cells in islice(_table(path), 1, None):
        if len(cells) > len(header) and not any(cells[len(header) :]):
            cells = cells[: len(header)]
        if len(cells) != len(header):
            rule = "quote cells with commas"
            raise DataError(
                f"{path}, line {line}: {number_of(len(cells), 'cell')} under {number_of(len(header), 'column')}; {rule}"
            )
        here = [plain(cell) for cell in cells]
        if here == names:
            counts.headers += 1
        elif sorted(here) == sorted(names):
            raise DataError(
                f"{path}, line {line}: a second header, whose columns stand in another order; join the parts"
            )
        else:
            yield line, cells


def _names_any(path: Path, header: Sequence[str], columns: Columns, names: NamedKeys) -> bool:
    """Whether any row names a picture."""
    rows = _rows(path, header, _Counts())
    return any(_find(path, line, columns.cell(cells, "file"), names) != NONE for line, cells in rows)


def _find(path: Path, line: int, name: str, names: NamedKeys) -> int:
    try:
        return names.place(name)
    except Ambiguous as error:
        raise DataError(
            f"{path}, line {line}: {name!r} may be {error}; write paths relative to {path.parent}, with their suffix"
        ) from error


def _read(
    path: Path, columns: Columns, rows: Iterator[tuple[int, list[str]]], names: NamedKeys, counts: _Counts
) -> tuple[GrowingRows, list[tuple[int, Fault]], int]:
    """Return the rows of pictures that are there, the faults of the others with their lines, and how many both are."""
    read, num = GrowingRows(names.keys), 0
    faults: list[tuple[int, Fault]] = []
    while part := list(islice(rows, ROWS_AT_ONCE)):
        num += len(part)
        exact = names.exact([columns.cell(cells, "file") for _, cells in part])
        for (line, cells), place in zip(part, exact, strict=True):
            row, name = _row(path, columns, line, cells), columns.cell(cells, "file")
            counts.lines.setdefault(row.label, line)
            place = place if place != NONE else _find(path, line, name, names)
            if place == NONE:
                # which is false, and no error, for a name that no disk takes
                is_there = os.path.exists(path.parent / name)  # noqa: PTH110
                there = "there, but no picture" if is_there else "not there"
                faults.append((line, Fault(name, f"stands in {path.name}, line {line}, but is {there}")))
            elif (other := read.row(place)) is None:
                read.put(place, row)
            elif (other.label, other.split, other.group) == (row.label, row.split, row.group):
                counts.repeated += 1
            else:
                raise DataError(
                    f"{path}, line {line}: {name!r} stands in line {other.line} already{_unlike(other, row)}; keep one "
                    "of them"
                )
    return read, faults, num


def _row(path: Path, columns: Columns, line: int, cells: Sequence[str]) -> LabelRow:
    """Return what a line says of its file. Raises `DataError` where it names none, or no split."""
    split = columns.cell(cells, "split").lower()
    if split and split not in SPLIT_WORDS:
        raise DataError(f"{path}, line {line}: unknown split {columns.cell(cells, 'split')!r}; use train, val or test")
    if not columns.cell(cells, "file"):
        raise DataError(f"{path}, line {line}: no name of a file in the column {columns.names['file']}")
    label, group = tidy(columns.cell(cells, "label")), columns.cell(cells, "group")
    return LabelRow(line, label, SPLIT_WORDS.get(split), group)


def _unlike(other: LabelRow, row: LabelRow) -> str:
    if other.label != row.label:
        return f", as {other.label!r} there and as {row.label!r} here"
    return ", with another split or group"


def _of_another_folder(path: Path, faults: Sequence[tuple[int, Fault]], num: int, keys: Keys) -> DataError:
    (line, first), root = faults[0], path.parent
    stem = PurePosixPath(first.path.replace("\\", "/")).stem
    likely = next((key for key in keys if PurePosixPath(key).stem == stem), None)
    hint = f", such as {likely}" if likely is not None else ""
    of_all = f", nor are {len(faults) - 1:,} more of its {num:,} rows" if len(faults) > 1 else ""
    return DataError(
        f"{path}, line {line}: {first.path!r} is not a picture in {root}{of_all}; write paths relative to it{hint}"
    )


def _joined(path: Path, labels: ByKey[str], similar: Similar, counts: _Counts) -> ByKey[str]:
    """Return one label for those that look alike, if they are to be joined. Raises `DataError`."""
    times = np.bincount(labels.codes[labels.codes != NONE], minlength=len(labels.distinct)).tolist()
    nums = dict(zip(labels.distinct, times, strict=True))
    spelling: dict[str, str] = {}
    for group in alike(nums):
        if similar == "refuse":
            one, other = sorted(group, key=lambda label: counts.lines[label])[:2]
            raise DataError(
                f"{path}, line {counts.lines[other]}: the label {other!r} ({nums[other]:,} of them) differs from "
                f"{one!r} in line {counts.lines[one]} ({nums[one]:,}) by case, blanks or writing alone; write one of "
                "them, or join all such by --set dataset.similar_labels=join, or take them for classes of their own "
                "by =keep"
            )
        most = max(group, key=lambda label: (nums[label], -counts.lines[label]))
        spelling |= {label: most for label in group if label != most}
    counts.joined = sum(nums[label] for label in spelling)
    return labels.renamed(spelling) if spelling else labels


def _check_single(path: Path, rows: LabelRows) -> None:
    """Raise `DataError` for a label that joins others by ; or |: it would be a class of its own."""
    parts = [[part.strip() for part in _SEVERAL.split(label)] for label in rows.labels.distinct]
    used = Counter(part for label in parts for part in label if part)
    several = [code for code, label in enumerate(parts) if len(label) > 1 and any(used[part] > 1 for part in label)]
    if several:
        line = int(rows.lines[np.isin(rows.labels.codes, several)].min())
        raise DataError(
            f"{path}, line {line}: {rows[rows.in_line(line)].label!r} names several labels, and a picture has one "
            "here; keep one of them, or give what they are together a name of its own"
        )
