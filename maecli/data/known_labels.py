"""What is known of the labels of files, so that wrong predictions can be marked.

Q classes.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from maecli.data.card import DataCard
from maecli.data.finding import find_files
from maecli.data.label_files import LABELS_FILE, read_labels
from maecli.errors import DataError

UNKNOWN = -1


class KnownLabels:
    """Labels of the files below a folder, as a data set's `label` field holds them.

    The row of a file in the folder's `labels.csv` comes first; then the nearest folder of its path, up to the
    folder itself, that has the name of a class. Where samples have several labels, the row names all that are present,
    joined by ";", and the name of a folder says nothing of the other classes. What is no class of the model, or an
    empty cell, is no label. A sample that is a part of a file, path#part, has that file's.
    """

    def __init__(self, root: Path, card: DataCard) -> None:
        self.numbers = {name: q for q, name in enumerate(card.classes)}
        self.multi_label = card.multi_label
        self.above = root.resolve().name
        self.rows: dict[str, str] = {}
        self.problem = ""
        """Why `labels.csv` cannot be used, if so."""
        if (root / LABELS_FILE).exists():
            try:
                rows = read_labels(root / LABELS_FILE, frozenset(find_files(root))) or {}
                self.rows = {key: row.label for key, row in rows.items()}
            except DataError as error:
                self.problem = f"no prediction is marked by {LABELS_FILE}: {error}"

    def __getitem__(self, key: str) -> np.ndarray:
        """Return the label () int64, or (Q,) int8 of several, of a sample's key; -1 where it is not known."""
        key = key.partition("#")[0] if key not in self.rows else key
        names = [self.rows[key]] if key in self.rows else self._folder(key)
        if not self.multi_label:
            return np.array(self.numbers.get(names[0], UNKNOWN) if names else UNKNOWN, np.int64)
        complete = key in self.rows
        present = [self.numbers.get(part.strip(), UNKNOWN) for name in names for part in name.split(";")]
        if not present or UNKNOWN in present:
            return np.full(len(self.numbers), UNKNOWN, np.int8)
        label = np.full(len(self.numbers), 0 if complete else UNKNOWN, np.int8)
        label[present] = 1
        return label

    def _folder(self, key: str) -> list[str]:
        """Return the name of the nearest folder that is a class, if there is one."""
        folders = [*PurePosixPath(key).parts[-2::-1], self.above]
        return [name for name in folders if name in self.numbers][:1]
