"""What is known of the labels of files, so that wrong predictions can be marked.

Q classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from maecli.data.card import DataCard
from maecli.data.classes.alike import alike_key
from maecli.data.classes.class_names import quoted
from maecli.data.classes.label_files import LABELS_FILE, find_labels, read_labels
from maecli.data.files.finding import find_files
from maecli.errors import DataError

UNKNOWN = -1
CODE = re.compile(r"([A-Za-z]+\d{2,})\s")
"""At the beginning of a class's name, as in `n01440764 tench`: its folder may be called by it alone."""


class KnownLabels:
    """Labels of the files below a folder, as a data set's `label` field holds them.

    The row of a file in the folder's table of labels comes first; then the nearest folder of its path, up to the
    folder itself, that has the name of a class. Where samples have several labels, the row names all that are present,
    joined by ";", and the name of a folder says nothing of the other classes. What is no class of the model, or an
    empty cell, is no label; case, blanks and the writing of a number do not matter where one class alone can be meant,
    and of `n01440764 tench` the first word will do.
    A sample that is a part of a file, path#part, has that file's.
    """

    def __init__(self, root: Path, card: DataCard) -> None:
        self.numbers = {name: q for q, name in enumerate(card.classes)}
        self.multi_label = card.multi_label
        self.above = root.resolve().name
        self.problem = ""
        """Why the table of labels, or a part of it, cannot be used, if so."""
        self.looks: dict[str, list[str]] = {}
        for name in card.classes:
            self.looks.setdefault(alike_key(name), []).append(name)
            if code := CODE.match(name):
                self.looks.setdefault(alike_key(code[1]), []).append(name)
        self.rows = self._labels(root)
        if not self.problem:
            self.problem = self._unknown()

    def _unknown(self) -> str:
        """Return which labels of the table are no class of the model, in words; empty where all are."""
        labels = [part for name in self.rows.values() for part in (name.split(";") if self.multi_label else [name])]
        unknown = sorted({name.strip() for name in labels if name.strip() and self._number(name.strip()) == UNKNOWN})
        if unknown and self.numbers:
            return f"files that are labelled {quoted(unknown)} count as unlabelled: the run knows no such class"
        return ""

    def _labels(self, root: Path) -> dict[str, str]:
        """Return what the folder's table says of its files."""
        name = LABELS_FILE
        try:
            path = find_labels(root)
            if path is None:
                return {}
            name, files = path.name, frozenset(find_files(root))
            rows = read_labels(path, files, similar="keep", several=True, most_vanished=1.0)
        except DataError as error:
            self.problem = f"no prediction is marked by {name}: {error}"
            return {}
        return {key: row.label for key, row in (rows or {}).items()}

    def _number(self, name: str) -> int:
        """Return the number of the class of a name, or of the only one that looks like it."""
        if name in self.numbers:
            return self.numbers[name]
        likely = self.looks.get(alike_key(name), [])
        return self.numbers[likely[0]] if len(likely) == 1 else UNKNOWN

    def __getitem__(self, key: str) -> np.ndarray:
        """Return the label () int64, or (Q,) int8 of several, of a sample's key; -1 where it is not known."""
        key = key.partition("#")[0] if key not in self.rows else key
        names = [self.rows[key]] if key in self.rows else self._folder(key)
        if not self.multi_label:
            return np.array(self._number(names[0]) if names else UNKNOWN, np.int64)
        complete = key in self.rows
        present = [self._number(part.strip()) for name in names for part in name.split(";")]
        if not present or UNKNOWN in present:
            return np.full(len(self.numbers), UNKNOWN, np.int8)
        label = np.full(len(self.numbers), 0 if complete else UNKNOWN, np.int8)
        label[present] = 1
        return label

    def has_row(self, key: str) -> bool:
        """Whether the folder's table says something of a sample."""
        return key in self.rows or key.partition("#")[0] in self.rows

    def name(self, key: str) -> str | None:
        """Return the class of a sample's key, of several those that are present, joined by ;, or None if not known."""
        label = self[key]
        if (label < 0).any():
            return None
        names = list(self.numbers)
        return ";".join(names[q] for q in np.flatnonzero(label)) if self.multi_label else names[int(label)]

    def _folder(self, key: str) -> list[str]:
        """Return the name of the nearest folder that is a class, if there is one."""
        folders = [*PurePosixPath(key).parts[-2::-1], self.above]
        return [name for name in folders if self._number(name) != UNKNOWN][:1]


class JoinedLabels(KnownLabels):
    """Labels of files below several folders, by keys below one that holds them all.

    The row of a table in the nearest of these folders comes first, then what the nearest one knows by its folders.
    """

    def __init__(self, root: Path, folders: Sequence[Path], card: DataCard) -> None:
        super().__init__(root, card)
        paths = {folder.relative_to(root).as_posix(): folder for folder in folders if folder != root}
        self.places: dict[str, KnownLabels] = {path: KnownLabels(folder, card) for path, folder in paths.items()}
        problems = [self.problem, *(place.problem for place in self.places.values())]
        self.problem = "; ".join(dict.fromkeys(problem for problem in problems if problem))

    def __getitem__(self, key: str) -> np.ndarray:
        """Return the label of a sample's key as `KnownLabels` does."""
        above = [parent.as_posix() for parent in PurePosixPath(key.partition("#")[0]).parents]
        near = [(self.places[path], key[len(path) + 1 :]) for path in above if path in self.places]
        by_row = next((place[rest] for place, rest in near if place.has_row(rest)), None)
        if by_row is not None or self.has_row(key):
            return by_row if by_row is not None else super().__getitem__(key)
        labels = [*(place[rest] for place, rest in near), super().__getitem__(key)]
        return next((label for label in labels if (label != UNKNOWN).any()), labels[-1])
