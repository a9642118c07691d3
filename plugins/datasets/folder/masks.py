"""The masks of a folder: how they are read, and with their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maecli import api
from maecli.api import DataError
from maecli.api.pictures import LABELMAP_FILE, VOID, ClassList, MaskCode, Pixels, read_mask, settle_masks

IMAGES_FOLDER, MASKS_FOLDER = "images", "masks"
NUM_NAMED = 3


@dataclass(frozen=True)
class MaskReading:
    """How the masks of a folder are read."""

    classes: ClassList
    code: MaskCode
    transparent: bool = False
    """Whether masks with transparent pixels were seen."""

    def of_files(self) -> dict[str, Any]:
        """Return what a card says of it, so that other masks are read alike."""
        code = self.code
        return {
            "mask_foreground": code.foreground,
            "mask_palettes": code.palettes,
            "mask_greys": code.greys,
        }

    def words(self) -> list[str]:
        """Return what is not plain about it."""
        code, classes = self.code, self.classes
        clear = "not judged" if code.background is None else classes.names[code.background]
        told = {
            f"classes of {LABELMAP_FILE}": classes.file == LABELMAP_FILE,
            f"palettes by their {code.palettes}": code.palettes != "auto",
            "greys by their colours": code.greys == "colours",
            f"{code.foreground} is {classes.names[-1]}": code.foreground is not None,
            f"transparent is {clear}": self.transparent,
        }
        return [words for words, is_so in told.items() if is_so]


def read_masks(
    root: Path,
    masks: Sequence[str],
    classes: ClassList,
    *,
    pixels: Pixels = "auto",
    foreground: int | None = None,
    max_pixels: int,
) -> MaskReading:
    """Return how to read the masks of a folder by some of them. Raises `DataError` if that cannot be told."""
    if foreground is not None and len(classes.names) != 2:
        raise DataError(
            f"dataset.mask_foreground is for masks of two classes, and {root / classes.file} names {len(classes.names)}"
        )
    code = MaskCode(classes.own_colours, classes.background, classes.void_colour, foreground, pixels, pixels)
    survey = settle_masks([root / mask for mask in masks], classes.palette, code, max_pixels=max_pixels)
    if survey.problem:
        raise DataError(
            f"masks can be read in two ways: of {survey.problem}; choose by --set dataset.mask_pixels=numbers or "
            f"=colours, or write the colours of the classes into {classes.file}, as in: cat 255 0 0"
        )
    return MaskReading(classes, survey.code, survey.transparent)


def nothing_judged(classes: ClassList) -> str:
    """Return what to say of masks that hold nothing but class 0 and what is not judged."""
    reason = (
        f"masks hold nothing but 0 and {classes.void}, which means not judged; write the number of the class where "
        f"they say {classes.void}"
    )
    if len(classes.names) != 2:
        return reason
    return f"{reason}, or let {VOID} be {classes.names[1]} by --set dataset.mask_foreground={VOID}"


def none_usable(root: Path, classes: ClassList, faults: Sequence[api.Fault]) -> DataError:
    """Return the error of a folder of which all masks that were looked at are broken."""
    first: dict[str, api.Fault] = {}
    for fault in faults:
        first.setdefault(fault.reason, fault)
    named = "; ".join(f"{fault.path}: {fault.reason}" for fault in [*first.values()][:NUM_NAMED])
    white = len(classes.names) == 2 and any("colour (255, 255, 255)" in reason for reason in first)
    way_out = f"; or let white be {classes.names[1]} by --set dataset.mask_foreground=255" if white else ""
    num = "the only mask" if len(faults) == 1 else f"none of {len(faults):,} masks"
    cannot = "cannot" if len(faults) == 1 else "can"
    return DataError(f"{num} in {root} that was looked at {cannot} be used; {named}{way_out}", faults)


class MaskedFiles(api.pictures.PictureFiles):
    """Pictures with their `masks`, files below the root, that are read as `mask_reading` says.

    An EXIF orientation turns the picture alone: masks are taken as they are.
    """

    def __init__(self, *pictures: Any, masks: Sequence[str], mask_reading: MaskReading, **options: Any) -> None:
        super().__init__(*pictures, **options)
        self.masks, self.mask_reading = masks, mask_reading

    def files(self, index: int) -> Sequence[Path]:
        return [*super().files(index), self.root / self.masks[index]]

    def __getitem__(self, index: int) -> api.Sample:
        sample = super().__getitem__(index)
        size = sample["image"].shape[1:] if self.images else self.size(index)
        return sample | {"mask": self._mask(index, size)}

    def _mask(self, index: int, size: tuple[int, ...]) -> np.ndarray:
        """Return the mask (H, W) of a picture of `size`. Raises `BrokenSample`, also for one of another size."""
        path, palette, code = self.masks[index], self.mask_reading.classes.palette, self.mask_reading.code
        with self.noting(path):
            mask = read_mask(self.root / path, len(palette), palette, max_pixels=self.reading.max_pixels, code=code)
            if mask.shape != size:
                (height, width), key = mask.shape, self.keys[index]
                raise api.BrokenSample(
                    path, f"mask is {width}×{height} where {key}, upright, is {size[1]}×{size[0]} wide and high"
                )
            return mask
