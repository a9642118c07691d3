"""What a picture's header says, and what gives its pixels.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.arrays import as_given
from maecli.modalities.pictures.bands import averaging, collected

Nothing = float | tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a picture's header says."""

    size: tuple[int, int]
    """(H, W) of the upright picture, after EXIF orientation."""
    channels: int
    """Channels without alpha: 1 for grey, 3 for colour, palette and CMYK, any number for arrays and TIFF."""
    dtype: str
    """uint8, uint16, int16, int32 or float32: what `read_picture` returns unless told otherwise."""
    alpha: bool = False
    """Whether another channel is flagged as alpha; a TIFF's extra band that is not is one of the channels."""
    array: bool = False
    """Whether it is a `.npy` array, whose channels are taken as they are."""
    upper_bits: bool = False
    """Whether its decoder gives the upper 8 of more bits: JPEG 2000 in colour, AVIF, PNG of grey and alpha."""
    frames: bool = False
    """Whether it is the first of several pictures in its file: of an animation, or of a phone."""
    pages: bool = False
    """Whether it is one page of a TIFF that has others, of a scan or a stack."""
    thumbnail: bool = False
    """Whether smaller versions of it come before it in its TIFF."""
    inverted: bool = False
    """Whether its TIFF has white as 0, which is turned around."""
    nodata: Nothing | None = None
    """What cells hold where nothing is known, as its header says: a number, or the colour of a palette; NaN is no
    news."""
    bits: int | None = None
    """Bits that the values of a 16-bit picture have, where its header says that they are fewer."""
    shape: tuple[int, ...] = field(default=(), compare=False)
    """Of an array, its three axes."""


class Source(Protocol):
    """An open file: its header, and a way to decode the rest."""

    info: PictureInfo

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        """Return (C, H, W), upright."""


def file_size(file: BinaryIO) -> int:
    """Return how long an open file is, which need not be one of the system's."""
    here = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(here)
    return end


def check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    """Raise `BrokenSample` for a picture (H, W) without pixels, or of too many."""
    height, width = size
    if height < 1 or width < 1:
        raise BrokenSample(name, "has no pixels")
    if height * width > max_pixels:
        raise BrokenSample(name, f"has {height * width:,} pixels, more than max_pixels ({max_pixels:,})")


def shrunk(pixels: np.ndarray, info: PictureInfo, at_least: int | None) -> np.ndarray:
    """Return an array (C, H, W) in the dtype that it is read as, averaged if it is large and may be."""
    factors = averaging(len(pixels), info.size, at_least)
    if factors == (1, 1):
        return as_given(pixels, info.dtype)
    return collected(lambda rows: as_given(pixels[:, rows], info.dtype), len(pixels), info.size, factors)


def on_white(pixels: np.ndarray, multiplied: bool = False) -> np.ndarray:
    """Return the (C, H, W) of whole numbers (C + 1, H, W) whose last channel is alpha, laid on white.

    `multiplied` says that the colours are multiplied by alpha already.
    """
    most = int(np.iinfo(pixels.dtype).max)
    colours, alpha = pixels[:-1].astype(np.float64), pixels[-1:].astype(np.float64)
    shown = colours if multiplied else colours * alpha / most
    return np.minimum(np.rint(shown + (most - alpha)), most).astype(pixels.dtype)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation of (C, H, W): Exif 2.32, tag 0x0112."""
    if orientation >= 5:
        pixels = pixels.transpose(0, 2, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    return pixels
