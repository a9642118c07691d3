"""The labels of pictures: from the class lists, or from the annotations where there are no such lists."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from maecli import api

from .annotations import read_names
from .classes import CLASSES
from .devkit import Devkit
from .layout import Family, key_of, keyed, path_of
from .objects import Remarks, label_of

LABELS = {"1": 1, "0": -1, "-1": 0}
"""What a class list writes → ours: present; only as difficult objects, so not to be judged; absent."""


class Labels:
    """The labels (Q,) int8 of a devkit's pictures, by their ids."""

    def __init__(self, devkit: Devkit) -> None:
        self._devkit = devkit
        self.remarks = Remarks()

    def of(self, key: str) -> np.ndarray:
        """Return the label (Q,) int8 of a picture. Raises `BrokenSample`."""
        if key in self.listed:
            return self.listed[key]
        path = path_of("Annotations", key)
        with keyed(key_of(self._devkit.folder, key), path):
            objects = read_names(self._devkit.folder / path)
        self.remarks.see_names(key, (name for name, _ in objects))
        return label_of(objects)

    def lists_all(self, family: Family) -> bool:
        """Whether the class lists tell the label of every picture in a family's lists."""
        judged = ("train", "val", "test") if self._devkit.year == 2007 else ("train", "val")
        ids = (key for name in judged for key in self._devkit.lists(family).get(name, ()))
        return all(key in self.listed for key in ids)

    @property
    def listed(self) -> dict[str, np.ndarray]:
        """The labels that the class lists tell, by id."""
        return self._class_lists[0]

    @property
    def faults(self) -> list[api.Fault]:
        """What is wrong with the class lists."""
        return self._class_lists[1]

    def foreign_lists(self) -> list[str]:
        """Return the names of class lists of no VOC class."""
        names = (path.name for path in (self._devkit.folder / "ImageSets/Main").glob("*_*.txt"))
        return sorted(name for name in names if name.rpartition("_")[0] not in CLASSES)

    @cached_property
    def _class_lists(self) -> tuple[dict[str, np.ndarray], list[api.Fault]]:
        """Return labels (Q,) int8 by id, as far as there are class lists, and what is wrong with these."""
        devkit = self._devkit
        all_labels: dict[str, np.ndarray] = {}
        faults: list[api.Fault] = []
        for name, ids in devkit.lists("Main").items() if "Main" in devkit.families else ():
            paths = [f"ImageSets/Main/{each}_{name}.txt" for each in CLASSES]
            if not any((devkit.folder / path).is_file() for path in paths):
                continue
            labels = {key: np.zeros(len(CLASSES), np.int8) for key in ids}
            for number, path in enumerate(paths):
                named: set[str] = set()
                for row in devkit.rows(path, faults, "tells no labels"):
                    if len(row) != 2 or row[1] not in LABELS:
                        faults.append(
                            devkit.fault(path, f"has the line {' '.join(row)[:60]!r}, not an image and 1, 0 or -1")
                        )
                    elif row[0] not in labels:
                        faults.append(devkit.fault(path, f"names {row[0]}, which {name}.txt does not name"))
                    else:
                        labels[row[0]][number] = LABELS[row[1]]
                        named.add(row[0])
                if named:
                    missing = (key for key in ids if key not in named)
                    faults += [devkit.fault(path, f"does not name {key}, which {name}.txt names") for key in missing]
            all_labels |= labels
        return all_labels, faults
