"""The classes of PASCAL VOC, in labels and in masks."""

from __future__ import annotations

import re

from maecli import api

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
MASK_CLASSES = ("background", *CLASSES)
PALETTE = api.pictures.class_palette(len(MASK_CLASSES))


def class_of(name: str) -> int | None:
    """Return the number of a class, however its name is written: Dog, dining table and potted-plant are known too."""
    return _NUMBERS.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


_NUMBERS = {_plain(name): number for number, name in enumerate(CLASSES)}
