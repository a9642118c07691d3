"""Tables of labels: a CSV file that gives pictures their class, split and group."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

from maecli.data.card import SplitName
from maecli.data.classes.alike import alike, tidy
from maecli.data.classes.label_columns import Columns, choose_columns, plain
from maecli.data.classes.named_keys import Ambiguous, NamedKeys
from maecli.data.csv_files import csv_rows
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
_SEVERAL = re.compile(r"[;|]")


@dataclass(frozen=True)
class LabelRow:
    """One line of a table of labels."""

    line: int
    label: str
    split: SplitName | None
    group: str


class LabelRows(dict[str, LabelRow]):
    """The rows of a table of labels, file → row, and what is to be said of it."""

    def __init__(self, rows: Mapping[str, LabelRow], reading: str, faults: Sequence[Fault]) -> None:
        super().__init__(rows)
        self.reading = reading
        """In a few words: labels.csv (columns image, class)."""
        self.faults = tuple(faults)
        """The rows that name no picture, by the names that they give."""


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
    keys: Set[str],
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
    if any(cell in keys for cell in header):
        raise DataError(f"{path}, line {number}: names a picture and no columns; write file,label in a line above it")
    peeked = list(islice(lines, NUM_PEEKED))
    names = NamedKeys(path.parent, keys)
    files = [] if "file" in map(plain, header) else _num_files(header, peeked, names)
    columns = choose_columns(path, number, header, files, _num_splits(header, peeked))
    counts = _Counts()
    rows = _rows(path, header, (*peeked, *lines), counts)
    if not any(_find(path, line, columns.cell(cells, "file"), names) for line, cells in rows):
        names, counts.loose = NamedKeys(path.parent, keys, loose=True), True
    read, faults = _read(path, columns, rows, names, counts)
    if faults and (not read or len(faults) > most_vanished * len(rows)):
        raise _of_another_folder(path, faults, len(rows), keys)
    counts.loose = counts.loose and bool(read)
    read = _joined(path, read, similar, counts)
    if not several:
        _check_single(path, read)
    said = [f"columns {', '.join(columns.names.values())}", *counts.words()]
    return LabelRows(read, f"{path.name} ({'; '.join(said)})", [fault for _, fault in faults])


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
            return names.find(cell) is not None
        except Ambiguous:
            return True

    return [sum(is_file(cells[i]) for _, cells in rows if i < len(cells)) for i in range(len(header))]


def _num_splits(header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> list[int]:
    """Return in how many rows each column names a split, -1 for one that says something else."""
    columns = [[cells[i].lower() for _, cells in rows if i < len(cells) and cells[i]] for i in range(len(header))]
    return [len(cells) if all(cell in SPLIT_WORDS for cell in cells) else -1 for cells in columns]


def _rows(
    path: Path, header: Sequence[str], lines: Iterable[tuple[int, list[str]]], counts: _Counts
) -> list[tuple[int, list[str]]]:
    """Return the rows of a table without repetitions of its header. Raises `DataError` for rows of other lengths."""
    names, rows = [plain(name) for name in header], []
    for line, cells in lines:
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
            rows.append((line, cells))
    return rows


def _find(path: Path, line: int, name: str, names: NamedKeys) -> str | None:
    try:
        return names.find(name)
    except Ambiguous as error:
        raise DataError(
            f"{path}, line {line}: {name!r} may be {error}; write paths relative to {path.parent}, with their suffix"
        ) from error


def _read(
    path: Path, columns: Columns, rows: Sequence[tuple[int, list[str]]], names: NamedKeys, counts: _Counts
) -> tuple[dict[str, LabelRow], list[tuple[int, Fault]]]:
    """Return the rows of pictures that are there, and the faults of the others with their lines."""
    read: dict[str, LabelRow] = {}
    faults: list[tuple[int, Fault]] = []
    for line, cells in rows:
        where, name = f"{path}, line {line}:", columns.cell(cells, "file")
        split = columns.cell(cells, "split").lower()
        if split and split not in SPLIT_WORDS:
            raise DataError(f"{where} unknown split {columns.cell(cells, 'split')!r}; use train, val or test")
        if not name:
            raise DataError(f"{where} no name of a file in the column {columns.names['file']}")
        row = LabelRow(line, tidy(columns.cell(cells, "label")), SPLIT_WORDS.get(split), columns.cell(cells, "group"))
        counts.lines.setdefault(row.label, line)
        key = _find(path, line, name, names)
        if key is None:
            # which is false, and no error, for a name that no disk takes
            is_there = os.path.exists(path.parent / name)  # noqa: PTH110
            there = "there, but no picture" if is_there else "not there"
            faults.append((line, Fault(name, f"stands in {path.name}, line {line}, but is {there}")))
        elif key not in read:
            read[key] = row
        elif (other := read[key]) and (other.label, other.split, other.group) == (row.label, row.split, row.group):
            counts.repeated += 1
        else:
            raise DataError(
                f"{where} {name!r} stands in line {other.line} already{_unlike(other, row)}; keep one of them"
            )
    return read, faults


def _unlike(other: LabelRow, row: LabelRow) -> str:
    if other.label != row.label:
        return f", as {other.label!r} there and as {row.label!r} here"
    return ", with another split or group"


def _of_another_folder(path: Path, faults: Sequence[tuple[int, Fault]], num: int, keys: Set[str]) -> DataError:
    (line, first), root = faults[0], path.parent
    stems = {PurePosixPath(key).stem: key for key in keys}
    likely = stems.get(PurePosixPath(first.path.replace("\\", "/")).stem)
    hint = f", such as {likely}" if likely is not None else ""
    of_all = f", nor are {len(faults) - 1:,} more of its {num:,} rows" if len(faults) > 1 else ""
    return DataError(
        f"{path}, line {line}: {first.path!r} is not a picture in {root}{of_all}; write paths relative to it{hint}"
    )


def _joined(path: Path, rows: dict[str, LabelRow], similar: Similar, counts: _Counts) -> dict[str, LabelRow]:
    """Return the rows with one label for those that look alike, if they are to be joined. Raises `DataError`."""
    if similar == "keep":
        return rows
    nums = Counter(row.label for row in rows.values() if row.label)
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
    return {
        key: LabelRow(row.line, spelling.get(row.label, row.label), row.split, row.group) for key, row in rows.items()
    }


def _check_single(path: Path, rows: Mapping[str, LabelRow]) -> None:
    """Raise `DataError` for a label that joins others by ; or |: it would be a class of its own."""
    parts = {row.label: [part.strip() for part in _SEVERAL.split(row.label)] for row in rows.values()}
    used = Counter(part for label in parts.values() for part in label if part)
    for row in rows.values():
        if len(parts[row.label]) > 1 and any(used[part] > 1 for part in parts[row.label]):
            raise DataError(
                f"{path}, line {row.line}: {row.label!r} names several labels, and a picture has one here; keep one of "
                "them, or give what they are together a name of its own"
            )
