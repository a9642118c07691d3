"""The masks of a folder as a whole: what they show, how they are read, and why they cannot be."""

from __future__ import annotations

from collections.abc import Set
from functools import cached_property
from pathlib import Path

import numpy as np

from maecli import api
from maecli.api.pictures import CLASSES_FILE, LABELMAP_FILE, ClassList, Pixels, read_classes

from .index import Index
from .masks import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    MaskReading,
    none_usable,
    nothing_judged,
    read_masks,
)

NUM_PEEKED = 32


class MaskSet:
    """The masks that an index knows; what is asked of them first is looked up once."""

    def __init__(self, root: Path, index: Index, pixels: Pixels, foreground: int | None, max_pixels: int) -> None:
        self.root, self.index = root, index
        self.pixels, self.foreground, self.max_pixels = pixels, foreground, max_pixels

    @cached_property
    def classes(self) -> ClassList:
        """What masks show. Raises DataError for a set without masks."""
        if not self.index.masks:
            raise api.DataError(self._why_none())
        if rivals := self.index.layout.rivals:
            raise api.DataError(
                f"{self.root} has masks of the same pictures in {' and '.join(f'{name}/' for name in rivals)}; move "
                "all but one of these folders out of it, or put a dot before their names"
            )
        places = [path.parent for path in (self._beside(LABELMAP_FILE), self._beside(CLASSES_FILE)) if path.exists()]
        return read_classes(places[-1] if places else self.root)

    @property
    def can_segment(self) -> bool:
        """Whether it is known what masks show."""
        try:
            return bool(self.classes.names)
        except api.DataError:
            return False

    @cached_property
    def peeked(self) -> list[str]:
        """Some pictures with masks, the same in every process."""
        return sorted(self.index.masks, key=api.place)[:NUM_PEEKED]

    @cached_property
    def reading(self) -> MaskReading:
        """How masks are read. Raises DataError where some of them leave it open."""
        masks = [self.index.masks[key] for key in self.peeked]
        return read_masks(
            *(self.root, masks, self.classes),
            pixels=self.pixels,
            foreground=self.foreground,
            max_pixels=self.max_pixels,
        )

    @property
    def place(self) -> str:
        """The folder that masks lie in; nothing if there are several, or none."""
        folders = {fault.path.rpartition("/")[0] for fault in self.index.unpaired}
        known = self.index.layout.mask_folders or sorted(folders)
        return known[0] if len(known) == 1 else ""

    def check(self, peeked: api.Split) -> None:
        """Raise DataError unless some of the samples that were `peeked` at can be read and judge something."""
        numbers: set[int] = set()
        broken: list[api.Fault] = []
        for i in range(len(peeked)):
            try:
                numbers.update(np.unique(peeked[i]["mask"]).tolist())
            except api.BrokenSample as error:  # told of when it is read for use, unless all are
                broken.append(error.fault)
        if len(broken) == len(peeked):
            raise none_usable(self.root, self.classes, broken)
        if is_nothing_judged(numbers, self.classes.void):
            raise api.DataError(f"{self.root / self.place}: {nothing_judged(self.classes)}")

    def _beside(self, name: str) -> Path:
        """Return where a file of this name lies: in the root, or in a folder around all pictures."""
        places = [self.root / folder / name for folder in self.index.layout.wrappings]
        return next((path for path in places if path.exists()), places[0])

    def _why_none(self) -> str:
        index, images, masks = self.index, IMAGES_FOLDER, MASKS_FOLDER
        way_out = f"the mask of {images}/a/1.jpg is {masks}/a/1.png"
        if index.unpaired:
            first = min(index.unpaired)
            place = self.root / self.place
            return f"none of the files in {place} is the mask of a picture; {first.path}, for one: {first.reason}"
        if index.layout.masks or all((self.root / name).is_dir() for name in (images, masks)):
            return f"no picture in {self.root / images} that can be read has a mask; {way_out}"
        return (
            f"{self.root} has no masks; put the pictures into {images}/, their masks as PNG files of the same "
            f"names into {masks}/, and the names of the classes into {CLASSES_FILE}: {way_out}"
        )


def is_nothing_judged(numbers: Set[int], void: int) -> bool:
    """Whether masks of these numbers hold nothing but class 0 and what is not judged."""
    return numbers <= {0, void} and void in numbers
