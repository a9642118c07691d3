"""Masks that lie beside their pictures: `images/a/1.jpg` has the mask `masks/a/1.png`, `classes.txt` the names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maecli import api
from maecli.api import DataError
from maecli.api.pictures import VOID, read_mask

IMAGES_FOLDER, MASKS_FOLDER, CLASSES_FILE = "images", "masks", "classes.txt"
MAX_CHARACTERS = 2**20
"""Of the names of up to 255 classes."""
BACKGROUNDS = frozenset({"background", "bg", "_background_"})
"""Names by which the first class of a `classes.txt` is known to be no object; in lower case."""


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names of a `classes.txt`: one in each line, whose number from 0 is that of its pixels.

    Raises `DataError` naming the line.
    """
    what = "write one class name per line: the first line names the pixels of number 0, the next those of 1, and so on"
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; {what}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it in UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if len(text) > MAX_CHARACTERS:
        raise DataError(f"{path} has more than {MAX_CHARACTERS:,} characters; {what}")
    names = [line.strip() for line in text.rstrip().splitlines()]
    if not names:
        raise DataError(f"{path} is empty; {what}")
    if len(names) > VOID:
        raise DataError(
            f"{path} has {len(names)} lines; a mask holds up to {VOID} classes, and {VOID} means not judged"
        )
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{path}, line {number + 1}: no name for the class {number}; {what}")
        if name in names[:number]:
            raise DataError(f"{path}, line {number + 1}: {name!r} is class {names.index(name)} already")
    return tuple(names)


def background_of(names: Sequence[str]) -> int | None:
    """Return 0 if the first class is named as the background, else None."""
    return 0 if names and names[0].lower() in BACKGROUNDS else None


class MaskedFiles(api.pictures.PictureFiles):
    """Pictures with their `masks`, PNG files below the root, that show the classes `names`.

    An EXIF orientation turns the picture alone: masks are taken as they are. Their colours are those of
    `class_palette`.
    """

    def __init__(self, *pictures: Any, masks: Sequence[str], names: Sequence[str], **options: Any) -> None:
        super().__init__(*pictures, **options)
        self.masks, self.palette = masks, api.pictures.class_palette(len(names))

    def files(self, index: int) -> Sequence[Path]:
        return [*super().files(index), self.root / self.masks[index]]

    def __getitem__(self, index: int) -> api.Sample:
        sample = super().__getitem__(index)
        size = sample["image"].shape[1:] if self.images else self.size(index)
        return sample | {"mask": self._mask(index, size)}

    def _mask(self, index: int, size: tuple[int, ...]) -> np.ndarray:
        """Return the mask (H, W) uint8 of a picture of `size`. Raises `BrokenSample`, also for one of another size."""
        path, palette = self.masks[index], self.palette
        with self.noting(path):
            mask = read_mask(self.root / path, len(palette), palette, max_pixels=self.reading.max_pixels)
            if mask.shape != size:
                (height, width), key = mask.shape, self.keys[index]
                raise api.BrokenSample(
                    path, f"mask is {width}×{height} where {key}, upright, is {size[1]}×{size[0]} wide and high"
                )
            return mask
