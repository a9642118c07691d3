"""Files that masks are read from: formats that keep every pixel as it was.

Shapes: H, W height and width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from maecli.data.file_reading import FileReading
from maecli.errors import BrokenSample
from maecli.modalities.arrays import npy_header
from maecli.modalities.pictures.bands import bands
from maecli.modalities.pictures.codecs.decoders import open_source
from maecli.modalities.pictures.codecs.deep_png import DeepPng
from maecli.modalities.pictures.codecs.pillow_files import PillowFile

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]

MASK_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy", ".pgm", ".ppm", ".pnm"})
"""Of files that may hold a mask; what they are is told by their first bytes."""


@dataclass(frozen=True)
class MaskForm:
    """One way to store a mask, and how it is read."""

    title: str
    sentence: str


MASK_FORMS = (
    MaskForm("grey", "class numbers, of 1 to 16 bits; where the classes have grey colours of their own, also those"),
    MaskForm("a palette", "class numbers, or the colours of the classes where its numbers stand in another order"),
    MaskForm("RGB", "the colours of the classes; class numbers where the three channels are equal"),
    MaskForm("RGBA, grey with alpha", "the same; what is transparent is the background, without one not judged"),
    MaskForm("`.npy`, TIFF of numbers", "whole numbers (H, W); others are refused"),
    MaskForm("JPEG, WebP or TIFF with loss, AVIF, HEIC", "refused: neighbouring classes bleed into each other"),
)
"""How masks may be stored; 255 is not judged, in numbers (of over 255 classes 65535), nor is VOC's border colour."""

BYTE, MOST = 256, 65_535
"""Numbers that a byte holds, and the greatest number of a mask."""
DEEP_COLOURS = "mask has 16 bits for each colour; use class numbers, or colours of 8 bits"
WHITE_IS_ZERO = "mask is a TIFF in which 0 is white; save it with 0 as black, or as PNG"
_GREY_STEPS = {"L;2": 85, "L;4": 17}
"""Pillow spreads grey of 2 and 4 bits over 0 to 255; dividing brings the numbers back."""
_WITHOUT_LOSS = frozenset({"PNG", "TIFF", "BMP", "DIB", "GIF", "WEBP"})
_LOSSY_TIFF = frozenset({"jpeg", "tiff_jpeg", "webp", "jpeg2000"})
_PLAIN_NETPBM = frozenset({b"P2", b"P3", b"P5", b"P6"})
_LOSSY_CODES = frozenset({6, 7, 33003, 33004, 33005, 34712, 34892, 34933, 50001})


@dataclass
class Numbered:
    """A mask with one number in each pixel, (H, W) uint8 or uint16."""

    numbers: np.ndarray
    colours: dict[int, Colour] | None
    """What each number looks like; None where it is that grey."""
    opaque: np.ndarray | None = None
    """(H, W) bool; None where everything is."""
    clear: frozenset[int] = frozenset()
    """Numbers that are wholly transparent."""
    grey: bool = True
    """Whether it is grey or black and white, and no palette of its own colours."""

    @property
    def transparent(self) -> bool:
        """Whether pixels are transparent."""
        clear = np.isin(self.numbers, [*self.clear]).any() if self.clear else False
        return bool(clear or (self.opaque is not None and not self.opaque.all()))


@dataclass
class Coloured:
    """A mask in colour: bands of it are (h, W, 3) uint8 with their rows, and (h, W) bool, or None, which are opaque."""

    size: tuple[int, int]
    image: Image.Image | np.ndarray

    @property
    def transparent(self) -> bool:
        """Whether pixels are transparent."""
        return any(seen is not None and not seen.all() for _, _, seen in self.bands())

    def bands(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        height, width = self.size
        for rows in bands(height, 4 * width):
            if isinstance(self.image, np.ndarray):
                yield rows, self.image[rows], None
                continue
            whole = rows.stop - rows.start == height
            pixels = np.asarray(self.image if whole else self.image.crop((0, rows.start, width, rows.stop)))
            yield rows, pixels[..., :3], pixels[..., 3] > 0 if pixels.shape[-1] == 4 else None


def open_mask(file: BinaryIO, max_pixels: int) -> Numbered | Coloured:
    """Decode a mask. Raises `BrokenSample` for what is no mask, and whatever a decoder raises on a damaged file."""
    from maecli.modalities.pictures.codecs.netpbm import NetpbmFile
    from maecli.modalities.pictures.codecs.tiff_files import TiffFile

    start = file.read(64)
    file.seek(0)
    if start.startswith(b"\x93NUMPY"):
        return _array(_npy(file, max_pixels), file.name)
    source = open_source(file, max_pixels, FileReading())
    if source.info.frames or source.info.pages:
        raise BrokenSample(file.name, "holds several pictures; a mask is one")
    if source.info.inverted:
        raise BrokenSample(file.name, WHITE_IS_ZERO)
    if isinstance(source, DeepPng):
        raise BrokenSample(file.name, DEEP_COLOURS)
    if isinstance(source, PillowFile):
        return _pillow(source.image, start, file.name)
    if isinstance(source, TiffFile):
        page = source.planes.page
        if int(page.compression) in _LOSSY_CODES:
            raise _lossy(file.name, "a TIFF with lossy compression")
        return _array(source.planes.read(), file.name)
    if not isinstance(source, NetpbmFile):
        raise _lossy(file.name, f"a {type(source).__name__.removesuffix('File')} file")
    if source.header.kind not in _PLAIN_NETPBM or source.header.maxval not in (255, 65535):
        raise BrokenSample(file.name, "mask is a Netpbm file of another range than 0 to 255; save it so, or as PNG")
    pixels = source.decode(False, None)  # (C, H, W)
    return _array(pixels if len(pixels) == 1 else pixels.transpose(1, 2, 0), file.name)


def _lossy(name: str, what: str) -> BrokenSample:
    return BrokenSample(
        name,
        f"is {what}, in which neighbouring classes bleed into each other; a mask is a PNG, or another without loss",
    )


def _pillow(image: Image.Image, start: bytes, name: str) -> Numbered | Coloured:
    kind, tiles = image.format or "", getattr(image, "tile", ())
    modes = [tile[3] if isinstance(tile[3], str) else (tile[3] or ("",))[0] for tile in tiles]
    raw = str(modes[0]) if modes else ""
    compression = str(image.info.get("compression", ""))
    if kind not in _WITHOUT_LOSS or compression in _LOSSY_TIFF:
        raise _lossy(name, f"a {kind} file" if compression not in _LOSSY_TIFF else "a TIFF with lossy compression")
    if kind == "WEBP" and not _is_lossless_webp(start, image):
        raise _lossy(name, "a WebP file with loss")
    if ";16" in raw and len(image.getbands()) > 1:
        raise BrokenSample(name, DEEP_COLOURS)
    image.load()
    if image.mode in ("RGB", "RGBA", "RGBX"):
        size = image.height, image.width
        return Coloured(size, image.convert("RGB") if image.mode == "RGBX" else image)
    if image.mode == "LA":
        both = np.asarray(image)
        return Numbered(np.ascontiguousarray(both[..., 0]), None, both[..., 1] > 0)
    if image.mode == "P":
        colours = _palette(image)
        ramp = all(colour == (i, i, i) for i, colour in colours.items())
        return Numbered(np.asarray(image), colours, clear=_clear(image), grey=ramp)
    if image.mode == "1":
        return Numbered(np.asarray(image).astype(np.uint8), {0: (0, 0, 0), 1: (255, 255, 255)})
    if image.mode == "L":
        step, pixels = _GREY_STEPS.get(raw, 1), np.asarray(image)
        return Numbered(pixels if step == 1 else pixels // step, None)
    if image.mode.startswith(("I", "F")):
        return _array(np.asarray(image), name)
    raise BrokenSample(name, f"mask has mode {image.mode}; use class numbers in a palette or in grey, or RGB colours")


def _is_lossless_webp(start: bytes, image: Image.Image) -> bool:
    """Whether the pixels of a WebP file are stored without loss (RFC 9649, section 2)."""
    if start[12:16] != b"VP8X":
        return start[12:16] == b"VP8L"
    file: BinaryIO = image.fp  # type: ignore[attr-defined]
    here, at = file.tell(), 12
    try:
        for _ in range(64):
            file.seek(at)
            head = file.read(8)
            if head[:4] in (b"VP8L", b"VP8 ", b"ANMF") or len(head) < 8:
                return head[:4] == b"VP8L"
            at += 8 + (length := int.from_bytes(head[4:], "little")) + length % 2
        return False
    finally:
        file.seek(here)


def _palette(image: Image.Image) -> dict[int, Colour]:
    values = image.getpalette("RGB") or []
    return {i: (values[3 * i], values[3 * i + 1], values[3 * i + 2]) for i in range(len(values) // 3)}


def _clear(image: Image.Image) -> frozenset[int]:
    """Return the numbers of a palette that are wholly transparent."""
    told = image.info.get("transparency")
    if isinstance(told, bytes):
        return frozenset(i for i, alpha in enumerate(told) if alpha == 0)
    return frozenset({told} if isinstance(told, int) else ())


def _npy(file: BinaryIO, max_pixels: int) -> np.ndarray:
    shape, _ = npy_header(file)
    num = int(np.prod(shape, dtype=np.float64))
    if num > 4 * max_pixels:
        raise BrokenSample(file.name, f"has {num:,} numbers, more than max_pixels ({max_pixels:,})")
    file.seek(0)
    values: np.ndarray = np.load(file, allow_pickle=False)
    return values


def _array(values: np.ndarray, name: str) -> Numbered | Coloured:
    """Return an array (H, W), axes of length 1 left out, or (H, W, 3) of colours, as a mask."""
    shape = values.shape
    if values.ndim == 3 and values.dtype == np.uint8 and shape[2] == 3:
        return Coloured(shape[:2], values)
    values = values.reshape([length for length in shape if length != 1] if values.ndim > 2 else shape)
    if values.ndim != 2 or 0 in shape:
        raise BrokenSample(name, f"mask has the shape {tuple(shape)}; a mask is (H, W), a class number in each pixel")
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= MOST):
        odd = low if low < 0 else high
        raise BrokenSample(name, f"mask has the number {odd:.10g}; numbers in masks are 0 to {MOST}")
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        odd = values[values != np.floor(values)][0]
        raise BrokenSample(name, f"mask has the number {odd:g}; class numbers are whole")
    return Numbered(values.astype(np.uint8 if high < BYTE else np.uint16), None)
