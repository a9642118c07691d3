"""The objects in a picture, as its annotation tells them, and the arrays that are made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maecli import api

from .annotations import AnnotatedObject, Annotation, read_annotation
from .classes import CLASSES, class_of
from .layout import key_of, keyed, path_of

OF_OBJECTS = frozenset({"boxes", "box_label", "difficult", "truncated"})
MAX_NAMED = 5
"""Names that a line gives of many."""


@dataclass
class Remarks:
    """What was made of annotations: under each kind the pictures, and the names that are concerned."""

    renamed: dict[str, set[str]] = field(default_factory=dict)
    unknown: dict[str, set[str]] = field(default_factory=dict)
    clipped: set[str] = field(default_factory=set)
    other_size: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    """Pictures with an object of a class that is known."""

    def see_names(self, key: str, names: Iterable[str]) -> None:
        for name in names:
            number = class_of(name)
            if number is None:
                self.unknown.setdefault(name[:60], set()).add(key)
            else:
                self.known.add(key)
                if name != CLASSES[number]:
                    self.renamed.setdefault(f"{name[:60]} is {CLASSES[number]}", set()).add(key)

    def see_boxes(self, key: str, annotation: Annotation, size: tuple[int, int]) -> None:
        if annotation.size not in (None, size):
            self.other_size.add(key)
        if any(thing != thing.clipped(size) for thing in annotation.objects):
            self.clipped.add(key)

    def check(self, where: Path) -> None:
        """Raise DataError where all annotations are of other classes: a picture of none would be no picture of VOC."""
        if self.unknown and not self.known:
            raise api.DataError(
                f"{where} shows objects of {_some(self.unknown)} and of none of VOC's 20 classes, which are all that "
                "data set voc knows; sort the pictures by class into folders, or name their classes in labels.csv, and "
                "read them by --dataset folder"
            )

    @property
    def converted(self) -> dict[str, int]:
        counts = {
            f"with classes written another way ({_some(self.renamed)})": _num(self.renamed),
            "with boxes up to a pixel outside, which were clipped": len(self.clipped),
            "whose annotation gives another size than the picture's own, which was taken": len(self.other_size),
        }
        return {what: num for what, num in counts.items() if num}

    @property
    def left_out(self) -> dict[str, int]:
        what = f"with objects of no VOC class, which are passed over: {_some(self.unknown)}"
        return {what: _num(self.unknown)} if self.unknown else {}


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:MAX_NAMED]) + (", …" if len(listed) > MAX_NAMED else "")


def _num(pictures: dict[str, set[str]]) -> int:
    return len(set().union(*pictures.values()))


def kinds_of(fields: Collection[str]) -> list[str]:
    """Return the folders whose files hold `fields`; labels stand in lists, and boxes end where their picture does."""
    kinds = {"JPEGImages": bool({"image", "boxes"} & {*fields}), "SegmentationClass": "mask" in fields}
    kinds["Annotations"] = bool(OF_OBJECTS & {*fields})
    return [kind for kind, needed in kinds.items() if needed]


def objects_of(folder: Path, key: str, remarks: Remarks | None = None) -> Sequence[AnnotatedObject]:
    """Return the objects in a picture, their boxes within it. Raises `BrokenSample`, also for what breaks a rule.

    The picture's own size is believed, not the annotation's.
    """
    path = path_of("Annotations", key)
    with keyed(key_of(folder, key)):
        size: tuple[int, int] = api.pictures.probe_picture(folder / path_of("JPEGImages", key)).size
    with keyed(key_of(folder, key), path):
        annotation = read_annotation(folder / path)
    if remarks is not None:
        remarks.see_names(key, (thing.name for thing in annotation.objects))
    for rule in annotation.broken_objects(size):
        raise api.BrokenSample(key_of(folder, key), f"{path}: {rule}")
    if remarks is not None:
        remarks.see_boxes(key, annotation, size)
    return [thing.clipped(size) for thing in annotation.objects]


def label_of(objects: Iterable[tuple[str, bool]]) -> np.ndarray:
    """Return the label (Q,) int8 of a picture with objects of these names, each difficult or not."""
    label = np.zeros(len(CLASSES), np.int8)
    for name, difficult in objects:
        if (number := class_of(name)) is not None:
            label[number] = -1 if difficult and label[number] != 1 else 1
    return label


def arrays_of(objects: Sequence[AnnotatedObject]) -> dict[str, np.ndarray]:
    return {
        "boxes": np.array([thing.box for thing in objects], np.float32).reshape(-1, 4),
        "box_label": np.array([class_of(thing.name) for thing in objects], np.int64),
        "difficult": np.array([thing.difficult for thing in objects], bool),
        "truncated": np.array([thing.truncated for thing in objects], bool),
    }
