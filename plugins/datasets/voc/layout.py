"""Where the files of a VOC devkit lie, and what they are called. A picture's id is its stem."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from maecli import api

Family = Literal["Main", "Segmentation"]
FAMILIES: tuple[Family, ...] = ("Main", "Segmentation")
SUFFIXES = {"JPEGImages": ".jpg", "SegmentationClass": ".png", "Annotations": ".xml"}
WAYS_IN = ("JPEGImages", "ImageSets")
"""Folders either of which shows that its parent is the folder of a year."""


def locate(root: Path, year: int) -> Path | None:
    """Return the folder of a year, if it is `root` or lies where a devkit has it."""
    name = f"VOC{year}"
    places = [root / name, root / "VOCdevkit" / name, root / "TrainVal" / "VOCdevkit" / name]  # the last for 2011
    if (root.name == name or not is_year(root)) and any((root / each).is_dir() for each in WAYS_IN):
        places.append(root)
    return next((folder for folder in places if folder.is_dir()), None)


def is_year(folder: Path) -> bool:
    """Whether a folder is named as a year's."""
    return re.fullmatch(r"VOC\d{4}", folder.name) is not None


def parent_of_years(root: Path) -> Path:
    """Return the folder that a year belongs in."""
    if is_year(root):
        return root.parent
    return root if root.name == "VOCdevkit" else root / "VOCdevkit"


def path_of(kind: str, key: str) -> str:
    """Return the file of a picture in the folder `kind`, relative to that of the year."""
    return f"{kind}/{key}{SUFFIXES[kind]}"


def key_of(folder: Path, key: str) -> str:
    """Return the key of a sample in the folder of a year."""
    return f"{folder.name}/{path_of('JPEGImages', key)}"


@contextlib.contextmanager
def keyed(key: str, path: str = "") -> Iterator[None]:
    """Let a `BrokenSample` bear the sample's key, and name the file, if it is not the picture."""
    try:
        yield
    except api.BrokenSample as broken:
        reason = broken.fault.reason
        raise api.BrokenSample(key, f"{path}: {reason}" if path else reason) from broken
