"""The objects in a picture, as its annotation tells them, and the arrays that are made of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from maecli import api

from .annotations import AnnotatedObject, read_annotation
from .classes import CLASSES
from .layout import key_of, keyed, path_of

OF_OBJECTS = frozenset({"boxes", "box_label", "difficult", "truncated"})


def kinds_of(fields: Collection[str]) -> list[str]:
    """Return the folders whose files hold `fields`; labels stand in lists."""
    kinds = {"JPEGImages": "image" in fields, "SegmentationClass": "mask" in fields}
    kinds["Annotations"] = bool(OF_OBJECTS & {*fields})
    return [kind for kind, needed in kinds.items() if needed]


def objects_of(folder: Path, key: str) -> Sequence[AnnotatedObject]:
    """Return the objects in a picture. Raises `BrokenSample`, also for one that breaks a rule."""
    path = path_of("Annotations", key)
    with keyed(key_of(folder, key), path):
        annotation = read_annotation(folder / path)
    for rule in annotation.broken_rules(CLASSES):
        raise api.BrokenSample(key_of(folder, key), f"{path}: {rule}")
    return annotation.objects


def label_of(objects: Sequence[AnnotatedObject]) -> np.ndarray:
    """Return the label (Q,) int8 of a picture with these objects."""
    label = np.zeros(len(CLASSES), np.int8)
    for thing in objects:
        if thing.name in CLASSES:
            number = CLASSES.index(thing.name)
            label[number] = -1 if thing.difficult and label[number] != 1 else 1
    return label


def arrays_of(objects: Sequence[AnnotatedObject]) -> dict[str, np.ndarray]:
    return {
        "boxes": np.array([thing.box for thing in objects], np.float32).reshape(-1, 4),
        "box_label": np.array([CLASSES.index(thing.name) for thing in objects], np.int64),
        "difficult": np.array([thing.difficult for thing in objects], bool),
        "truncated": np.array([thing.truncated for thing in objects], bool),
    }
