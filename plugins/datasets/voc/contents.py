"""What is wrong with the files of a devkit, each by itself and beside the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maecli import api

from .annotations import read_annotation
from .classes import CLASSES, MASK_CLASSES, PALETTE
from .devkit import Devkit
from .labels import Labels
from .layout import path_of
from .objects import label_of
from .samples import other_size


def content_faults(devkit: Devkit, labels: Labels) -> Iterator[api.Fault]:
    """Yield what is wrong with each picture's header, annotation and mask, and between them."""
    pictures, annotations, masks = (devkit.stems(kind) for kind in ("JPEGImages", "Annotations", "SegmentationClass"))
    for key in sorted(pictures | annotations | masks):
        size: tuple[int, int] | None = None
        if key in pictures:
            try:
                size = api.pictures.probe_picture(devkit.folder / f"JPEGImages/{key}.jpg").size
            except api.BrokenSample as broken:
                yield devkit.fault(f"JPEGImages/{key}.jpg", broken.fault.reason)
        for kind in ("Annotations", "SegmentationClass"):
            if key in devkit.stems(kind):
                path = path_of(kind, key)
                if key not in pictures:
                    yield devkit.fault(path, f"belongs to no picture: there is no JPEGImages/{key}.jpg")
                file = devkit.folder / path
                listed = labels.listed.get(key)
                rules = _annotation_rules(file, size, listed) if kind == "Annotations" else _mask_rules(file, size)
                for rule in rules:
                    yield devkit.fault(path, rule)


def _annotation_rules(file: Path, size: tuple[int, int] | None, listed: np.ndarray | None) -> Iterator[str]:
    """Yield what is wrong with an annotation, also beside the `listed` label (Q,) of its picture."""
    try:
        annotation = read_annotation(file)
    except api.BrokenSample as broken:
        yield broken.fault.reason
        return
    yield from annotation.broken_rules(size)
    if (
        listed is not None
        and (
            differ := np.flatnonzero(listed != label_of((thing.name, thing.difficult) for thing in annotation.objects))
        ).size
    ):
        names = ", ".join(CLASSES[i] for i in differ)
        yield f"does not agree with the class lists in ImageSets/Main on {names}"


def _mask_rules(file: Path, size: tuple[int, int] | None) -> Iterator[str]:
    try:
        mask = api.pictures.read_mask(file, len(MASK_CLASSES), PALETTE)
    except api.BrokenSample as broken:
        yield broken.fault.reason
        return
    if size is not None and mask.shape != size:
        yield other_size(mask, size)
