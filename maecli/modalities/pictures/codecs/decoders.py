"""Decoders of picture files, by what the first bytes say a file is.

Most formats by Pillow, PNG in colour of 16 bits by OpenCV, TIFF by Pillow or tifffile, HEIC by pillow-heif, `.npy` by
NumPy; each, and what is ours of the rarer ones, is loaded when a file needs it. A damaged file raises whatever its
decoder raises, or `BrokenSample` where the reason is known: `read` makes all of them `BrokenSample`.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from maecli.data.file_reading import FileReading, NpyLayout
from maecli.errors import BrokenSample
from maecli.modalities.arrays import given_dtype, npy_header
from maecli.modalities.pictures.codecs import formats
from maecli.modalities.pictures.codecs.decoder_bounds import FewReads, check_runs
from maecli.modalities.pictures.codecs.deep_png import DeepPng, is_deep
from maecli.modalities.pictures.codecs.formats import START, format_of, why_unknown
from maecli.modalities.pictures.codecs.header import PictureInfo, Source, check_size, shrunk
from maecli.modalities.pictures.codecs.pillow_files import PillowFile
from maecli.modalities.pictures.codecs.plugins import is_first_of_several, pillow_plugins


def open_source(file: BinaryIO, max_pixels: int, files: FileReading, channels: int | None = None) -> Source:
    """Open what the first bytes say it is; `channels` are those that are wanted of an array, where that is known."""
    start = file.read(START)
    file.seek(0)
    if not start:
        raise BrokenSample(file.name, "empty file")
    kind = format_of(start)
    match kind.title if kind is not None else None:
        case None:
            raise BrokenSample(file.name, why_unknown(start))
        case formats.NPY:
            return NpyFile(file, max_pixels, files.npy_layout, channels)
        case "TIFF":
            from maecli.modalities.pictures.codecs.tiff_files import open_tiff

            return open_tiff(file, max_pixels, files.tiff_pages)
        case "Netpbm":
            from maecli.modalities.pictures.codecs.netpbm import NetpbmFile

            return NetpbmFile(file, max_pixels)
        case "HEIC":
            from maecli.modalities.pictures.codecs.heif import HeicFile

            return HeicFile(file, max_pixels)
        case str(title):
            return _pillow(title, start, file, max_pixels)


def _pillow(title: str, start: bytes, file: BinaryIO, max_pixels: int) -> Source:
    """Open a file of one of Pillow's formats, once its header has been looked at where Pillow believes it."""
    bits: tuple[int, ...] = ()
    match title:
        case "WebP":  # Pillow sets the canvas aside when it opens one
            check_size(file.name, _webp_size(start), max_pixels)
        case "GIF":
            check_size(file.name, _gif_size(start), max_pixels)
        case "AVIF":
            _check_avif(file.name)
            from maecli.modalities.pictures.codecs.heif import avif_bits

            bits = avif_bits(file)
        case "JPEG 2000":
            from maecli.modalities.pictures.codecs.jpeg2000 import check_codestream

            bits = check_codestream(file, max_pixels).bits
    file.seek(0)
    if title in ("WebP", "AVIF"):  # read as a whole
        image = pillow_plugins()[title](file)
    else:
        with FewReads(file) as opening:
            image = pillow_plugins()[title](opening)
        check_runs(image, file.name)
    opened = PillowFile(image, max_pixels, file.name, bits=bits, frames=is_first_of_several(image))
    return DeepPng(file, opened) if is_deep(opened) else opened


def _check_avif(name: str) -> None:
    from PIL import features

    if not features.check("avif"):
        raise BrokenSample(name, "is an AVIF file, which this build of Pillow cannot read: pip install 'pillow>=11.3'")


def _gif_size(start: bytes) -> tuple[int, int]:
    """Return (H, W) of the canvas, as far as there is one: without, it is as large as the first picture."""
    return max(1, int.from_bytes(start[8:10], "little")), max(1, int.from_bytes(start[6:8], "little"))


def _webp_size(start: bytes) -> tuple[int, int]:
    """Return (H, W) from the first 30 bytes of a WebP file (RFC 9649, sections 2.5 to 2.7)."""
    if len(start) < 30:
        raise EOFError
    if start[12:16] == b"VP8X":
        return int.from_bytes(start[27:30], "little") + 1, int.from_bytes(start[24:27], "little") + 1
    if start[12:16] == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    return int.from_bytes(start[28:30], "little") & 0x3FFF, int.from_bytes(start[26:28], "little") & 0x3FFF


class NpyFile:
    """An array (H, W), (H, W, C) or (C, H, W) in NumPy's own format."""

    def __init__(self, file: BinaryIO, max_pixels: int, layout: NpyLayout, wanted: int | None = None) -> None:
        shape, dtype = npy_header(file)
        if len(shape) not in (2, 3):
            raise BrokenSample(file.name, f"has the shape {shape}; a picture has H, W and channels")
        if min(shape) < 1:
            raise BrokenSample(file.name, "has no pixels")
        self.axis = _channel_axis(shape, layout, wanted)
        size = shape if len(shape) == 2 else tuple(n for i, n in enumerate(shape) if i != self.axis)
        check_size(file.name, (size[0], size[1]), max_pixels)
        channels = shape[self.axis] if len(shape) == 3 else 1
        self.file = file
        self.info = PictureInfo(
            size=(size[0], size[1]),
            channels=channels,
            dtype=given_dtype(dtype, file.name),
            array=True,
            shape=shape if len(shape) == 3 else (),
        )

    def decode(self, _keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        self.file.seek(0)
        pixels: np.ndarray = np.load(self.file, allow_pickle=False)
        pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, self.axis, 0)
        return shrunk(pixels, self.info, at_least)


def _channel_axis(shape: tuple[int, ...], layout: NpyLayout, wanted: int | None) -> int:
    """Return the end at which there are as many channels as wanted; else what the layout says, or the shorter end."""
    first, last = shape[0], shape[-1]
    if len(shape) == 3 and (first == wanted) != (last == wanted):
        return 0 if first == wanted else 2
    return 0 if layout == "chw" or (layout == "auto" and first < last) else len(shape) - 1
