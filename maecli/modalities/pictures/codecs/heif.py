"""HEIC by pillow-heif, which is an extra of this package, and what a file of AVIF's or HEIC's kind says of its bits.

libheif has bounds of its own on what a file may ask for: 2³⁰ pixels, 4 GiB, 1,000 items. It turns pictures itself.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from types import ModuleType
from typing import BinaryIO

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.header import PictureInfo, check_size, on_white, shrunk

MAX_HEADER = 2**16
"""Bytes that are searched for how a picture is coded."""
_MODES = {
    "L": (1, False, "uint8"),
    "RGB": (3, False, "uint8"),
    "RGBA": (3, True, "uint8"),
    "RGBa": (3, True, "uint8"),
    "I;16": (1, False, "uint16"),
    "RGB;16": (3, False, "uint16"),
    "RGBA;16": (3, True, "uint16"),
    "RGBa;16": (3, True, "uint16"),
}
"""pillow-heif's mode → channels, alpha, dtype."""


def avif_bits(file: BinaryIO) -> tuple[int, ...]:
    """Return the bits of an AVIF picture's values (AV1 in ISOBMFF, 2.3.3); nothing where they are not found."""
    file.seek(0)
    _, found, record = file.read(MAX_HEADER).partition(b"av1C")
    if not found or len(record) < 3:
        return ()
    return (12 if record[2] & 0x20 else 10,) if record[2] & 0x40 else (8,)


class HeicFile:
    """The main picture of a HEIC file."""

    def __init__(self, file: BinaryIO, max_pixels: int) -> None:
        heif = _pillow_heif(file.name)
        opened = heif.open_heif(file, convert_hdr_to_8bit=False)
        self.name, self.image = file.name, opened[opened.primary_index]
        if self.image.mode not in _MODES:
            raise BrokenSample(file.name, f"has the colour mode {self.image.mode}, which is not supported")
        width, height = self.image.size
        check_size(file.name, (height, width), max_pixels)
        channels, alpha, dtype = _MODES[self.image.mode]
        self.info = PictureInfo((height, width), channels, dtype, alpha=alpha, frames=len(opened) > 1)

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        height, width = self.info.size
        pixels = np.asarray(self.image)[:height, :width]
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if self.image.size != (width, height):  # known only when it is decoded
            raise BrokenSample(self.name, "damaged file: its picture has another size than its header says")
        if self.info.alpha and not keep_alpha:
            pixels = on_white(pixels)
        return shrunk(pixels, self.info, at_least)


def _pillow_heif(name: str) -> ModuleType:
    try:
        import pillow_heif  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        reason = "is a HEIC file, which needs the extra heif: pip install 'maecli[heif]', or pillow-heif"
        raise BrokenSample(name, reason) from error
    return pillow_heif
