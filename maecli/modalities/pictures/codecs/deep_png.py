"""PNG in colour of 16 bits, of which Pillow gives the upper 8: decoded by OpenCV, once Pillow found it to be sound.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.header import on_white, shrunk, upright
from maecli.modalities.pictures.codecs.pillow_files import PillowFile, png_bits

DEEP = frozenset({"RGB;16B", "RGBA;16B"})
"""How Pillow names the numbers in such a file."""
SIGNATURE, CHUNK = 8, 12
"""Bytes before the first chunk, and of a chunk besides its contents: length, name and checksum (PNG, 5.3)."""


def is_deep(opened: PillowFile) -> bool:
    """Whether an opened picture is a PNG in colour of 16 bits."""
    tiles = getattr(opened.image, "tile", ())
    return opened.image.format == "PNG" and any(str(tile.args) in DEEP for tile in tiles)


class DeepPng:
    """A PNG in colour of 16 bits, opened by Pillow."""

    def __init__(self, file: BinaryIO, opened: PillowFile) -> None:
        self.file, self.opened = file, opened
        self.info = replace(opened.info, dtype="uint16", upper_bits=False, bits=png_bits(opened.image))

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        import cv2

        self.opened.image.load()  # OpenCV would fill up what a damaged file lacks
        self.file.seek(0)
        png = np.frombuffer(_bare(self.file.read()), np.uint8)
        decoded = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)  # (H, W, C), blue first
        if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
            raise BrokenSample(self.file.name, "damaged file: its 16 bits cannot be decoded")
        pixels = decoded[..., [2, 1, 0, *range(3, 3 + self.info.alpha)]].transpose(2, 0, 1)
        if self.info.alpha and not keep_alpha:
            pixels = on_white(pixels)
        return shrunk(upright(pixels, self.opened.orientation), self.info, at_least)


def _bare(png: bytes) -> bytes:
    """Return a PNG with its pixels and nothing else: libpng writes to stderr what it thinks of colour profiles."""
    parts, place = [png[:SIGNATURE]], SIGNATURE
    while place < len(png):
        stop = place + CHUNK + int.from_bytes(png[place : place + 4], "big")
        if png[place + 4 : place + 8] in (b"IHDR", b"IDAT", b"IEND"):
            parts.append(png[place:stop])
        place = stop
    return b"".join(parts)
