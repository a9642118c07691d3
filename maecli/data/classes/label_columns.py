"""Which column of a table of labels says what: the names that people give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maecli.errors import DataError

Meaning = Literal["file", "label", "split", "group"]


@dataclass(frozen=True)
class Column:
    """One column of a table of labels: `names` are its own and what else it may be called, in lower case."""

    meaning: Meaning
    names: tuple[str, ...]
    sentence: str


COLUMNS = (
    Column(
        "file",
        (
            *("file", "filename", "file_name", "filepath", "file_path", "image", "image_name", "imagename"),
            *("image_path", "image_file", "img", "img_name", "path", "picture", "name", "image_id", "id"),
        ),
        "the picture, by its path below the folder; \\ for /, another case, a Unicode form of its own, and a name "
        "without suffix are understood where one picture alone can be meant",
    ),
    Column(
        "label",
        ("label", "labels", "class", "class_name", "classname", "label_name", "category", "target"),
        "the class; blanks around it do not count, an empty cell is no label",
    ),
    Column("split", ("split", "subset", "set", "partition", "phase"), "train, val or test; an empty cell is none"),
    Column("group", ("group",), "samples of one group stay in one split"),
)
"""The first name of each goes before the others; of others only one may be there, but for the file's."""

NAMES: Mapping[str, tuple[str, ...]] = {column.meaning: column.names for column in COLUMNS}


@dataclass(frozen=True)
class Columns:
    """The places of the columns that are read."""

    places: Mapping[str, int]
    names: Mapping[str, str]
    """Meaning → what the header calls it."""

    def cell(self, cells: Sequence[str], meaning: Meaning) -> str:
        return cells[self.places[meaning]] if meaning in self.places else ""


def plain(name: str) -> str:
    """Return a column's name in lower case, with _ for blanks and hyphens."""
    return "_".join(name.lower().replace("-", " ").split())


def choose_columns(
    path: Path, line: int, header: Sequence[str], files: Sequence[int], splits: Sequence[int]
) -> Columns:
    """Return what the columns of a header mean.

    `files` are the numbers of rows, of those that were looked at, in which each column names a picture, nothing where
    one is called file; `splits` those in which it names a split, or -1 for a column that says something else. Raises
    `DataError` naming the line.
    """
    where, names = f"{path}, line {line}:", [plain(name) for name in header]
    found = {meaning: [i for i, name in enumerate(names) if name in known] for meaning, known in NAMES.items()}
    found["split"] = [i for i in found["split"] if names[i] == "split" or splits[i] > 0]
    places: dict[str, int] = {}
    for meaning, candidates in found.items():
        own = [i for i in candidates if names[i] == meaning]
        if meaning == "file" and not own:
            candidates.sort(key=lambda i: (-files[i], NAMES["file"].index(names[i])))
            candidates = candidates[:1]
        chosen = own or candidates
        if len(chosen) > 1:
            several = " and ".join(repr(header[i]) for i in chosen)
            raise DataError(f"{where} {several} may both be the column {meaning}; call the one that is meant {meaning}")
        if chosen:
            places[meaning] = chosen[0]
    for needed in ("file",) if {"split", "group"} & places.keys() else ("file", "label"):
        if needed not in places:
            raise DataError(
                f"{where} no column {needed!r} among {', '.join(names) or 'none'}; the first line must name the "
                "columns file and label, and may name split and group"
            )
    return Columns(places, {meaning: header[i] for meaning, i in places.items()})
