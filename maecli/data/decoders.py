"""Decoders of picture files: what the first bytes say a file is, its header, and its pixels upright.

JPEG, PNG, WebP and BMP by Pillow, TIFF by Pillow or tifffile, `.npy` by NumPy; each is loaded when a file needs it. A
damaged file raises whatever its decoder raises, or `BrokenSample` where the reason is known: `maecli.data.pictures`
makes all of them `BrokenSample`.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

import numpy as np

from maecli.data.dataset import BrokenSample

if TYPE_CHECKING:
    import tifffile
    from PIL import Image
    from PIL.ImageFile import ImageFile

NpyLayout = Literal["auto", "hwc", "chw"]


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a picture's header says."""

    size: tuple[int, int]
    """(H, W) of the upright picture, after EXIF orientation."""
    channels: int
    """Channels without alpha: 1 for grey, 3 for colour, palette and CMYK, any number for arrays."""
    dtype: str
    """uint8, uint16, int16, int32 or float32: what `read_picture` returns unless told otherwise."""
    alpha: bool = False
    array: bool = False
    """Whether it is a `.npy` array, whose channels are taken as they are."""
    upper_bits: bool = False
    """Whether it is a 16-bit colour PNG, of which Pillow decodes the upper 8 bits."""


class Source(Protocol):
    """An open file: its header, and a way to decode the rest."""

    info: PictureInfo

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        """Return (C, H, W), upright."""


_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_source(file: BinaryIO, max_pixels: int, npy_layout: NpyLayout) -> Source:
    """Open what the first bytes say it is.

    Pillow's classes are used directly, not through `Image.open`, whose own bound on the number of pixels is one
    for the whole process.
    """
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    formats: tuple[tuple[bytes, type[ImageFile]], ...] = (
        (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
        (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
        (b"BM", BmpImagePlugin.BmpImageFile),
    )
    start = file.read(30)
    file.seek(0)
    if not start:
        raise BrokenSample(file.name, "empty file")
    if start.startswith(b"\x93NUMPY"):
        return NpyFile(file, max_pixels, npy_layout)
    if start.startswith(_TIFF):
        return _tiff(file, max_pixels)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        _check_size(file.name, _webp_size(start), max_pixels)  # Pillow sets the canvas aside when it opens one
        return PillowFile(WebPImagePlugin.WebPImageFile(file), max_pixels, file.name)
    for magic, factory in formats:
        if start.startswith(magic):
            return PillowFile(factory(file), max_pixels, file.name)
    raise BrokenSample(file.name, "not a JPEG, PNG, WebP, BMP, TIFF or .npy file")


def _check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    height, width = size
    if height < 1 or width < 1:
        raise BrokenSample(name, "has no pixels")
    if height * width > max_pixels:
        raise BrokenSample(name, f"has {height * width:,} pixels, more than max_pixels ({max_pixels:,})")


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


_MODES: dict[str, tuple[int, bool, str]] = {
    "1": (1, False, "uint8"),
    "L": (1, False, "uint8"),
    "LA": (1, True, "uint8"),
    "La": (1, True, "uint8"),
    "P": (3, False, "uint8"),
    "PA": (3, True, "uint8"),
    "RGB": (3, False, "uint8"),
    "RGBX": (3, False, "uint8"),
    "RGBA": (3, True, "uint8"),
    "RGBa": (3, True, "uint8"),
    "CMYK": (3, False, "uint8"),
    "YCbCr": (3, False, "uint8"),
    "I;16": (1, False, "uint16"),
    "I;16B": (1, False, "uint16"),
    "I": (1, False, "int32"),
    "F": (1, False, "float32"),
}
"""Pillow's mode → channels, alpha, dtype."""


class PillowFile:
    """A picture that Pillow decodes."""

    def __init__(self, image: Image.Image, max_pixels: int, name: str) -> None:
        if image.mode not in _MODES:
            raise BrokenSample(name, f"has the colour mode {image.mode}, which is not supported")
        _check_size(name, (image.height, image.width), max_pixels)
        channels, alpha, dtype = _MODES[image.mode]
        orientation = _orientation_in_header(image)
        self.image = image
        self.info = PictureInfo(
            size=(image.width, image.height) if orientation >= 5 else (image.height, image.width),
            channels=channels,
            dtype=dtype,
            alpha=alpha or (image.mode == "P" and "transparency" in image.info),
            upper_bits=any(str(tile.args) in ("RGB;16B", "RGBA;16B", "LA;16B") for tile in getattr(image, "tile", ())),
        )

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        if at_least is not None:
            self.image.draft(None, (at_least, at_least))
        self.image.load()
        orientation = _orientation(self.image)
        image: Image.Image = self.image
        if self.info.alpha:
            image = image.convert("LA" if self.info.channels == 1 else "RGBA")
            image = image if keep_alpha else _on_white(image)
        elif image.mode == "1" or self.info.channels == 3:
            image = image.convert("L" if image.mode == "1" else "RGB")
        pixels = np.asarray(image)
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return np.ascontiguousarray(_upright(pixels, orientation), dtype=self.info.dtype)


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    colour = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, colour).convert("L" if image.mode == "LA" else "RGB")


def _orientation_in_header(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow tells the upright size, and turns the pixels itself
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the pixels to look behind them
    return _orientation(image)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        value = int(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged note beside the pixels is no reason to lose the picture
        return 1
    return value if 1 <= value <= 8 else 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation of (C, H, W): Exif 2.32, tag 0x0112."""
    if orientation >= 5:
        pixels = pixels.transpose(0, 2, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    return pixels


def _tiff(file: BinaryIO, max_pixels: int) -> Source:
    """Let Pillow read the first image of a TIFF if it has the usual colours, tifffile the rest.

    All pages that tifffile joins to one series are one picture: pages and samples are its channels.
    """
    end = os.fstat(file.fileno()).st_size
    if not _pages_are_there(file, end):
        raise BrokenSample(file.name, "truncated file")
    file.seek(0)
    import tifffile

    series = tifffile.TiffFile(file).series[0]
    page = series.keyframe
    for part in series.pages:
        if part is None or any(a + n > end for a, n in zip(part.dataoffsets, part.databytecounts, strict=True)):
            raise BrokenSample(file.name, "truncated file")
    grey = page.samplesperpixel == 1 and str(page.dtype) in ("bool", "uint8", "uint16", "float32")
    colour = page.samplesperpixel in (3, 4) and page.bitspersample == 8 and page.planarconfig == 1
    if len(series.pages) == 1 and (grey or (colour and page.photometric != tifffile.PHOTOMETRIC.MINISBLACK)):
        from PIL import TiffImagePlugin

        file.seek(0)
        return PillowFile(TiffImagePlugin.TiffImageFile(file), max_pixels, file.name)
    return TiffFile(series, max_pixels, file.name)


def _pages_are_there(file: BinaryIO, end: int) -> bool:
    """Whether the chain of a TIFF's page headers stays within the file; tifffile only logs if it does not."""
    head = file.read(16)
    order: Literal["little", "big"] = "little" if head.startswith(b"II") else "big"
    big = 43 in (head[2], head[3])  # BigTIFF
    width, entry, counter = (8, 20, 8) if big else (4, 12, 2)
    offset = int.from_bytes(head[8:16] if big else head[4:8], order)
    seen: set[int] = set()
    while offset != 0 and offset not in seen:
        seen.add(offset)
        file.seek(min(offset, end))
        num = int.from_bytes(file.read(counter), order)
        after = offset + counter + num * entry
        if after + width > end:
            return False
        file.seek(after)
        offset = int.from_bytes(file.read(width), order)
    return bool(seen)


class TiffFile:
    """A TIFF that tifffile decodes: any number of channels, in pages or samples."""

    def __init__(self, series: tifffile.TiffPageSeries, max_pixels: int, name: str) -> None:
        axes, shape = series.axes, series.shape
        if "Y" not in axes or "X" not in axes or len(axes) > 3:
            raise BrokenSample(name, f"has the axes {axes} {tuple(shape)}; a picture has H, W and channels")
        self.series = series
        self.order = [i for i, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
        tag = series.keyframe.tags.get("Orientation")
        self.orientation = int(tag.value) if tag is not None and int(tag.value) in range(1, 9) else 1
        height, width = shape[axes.index("Y")], shape[axes.index("X")]
        _check_size(name, (height, width), max_pixels)
        self.info = PictureInfo(
            size=(width, height) if self.orientation >= 5 else (height, width),
            channels=shape[self.order[0]] if len(axes) == 3 else 1,
            dtype=given_dtype(np.dtype(series.dtype), name),
        )

    def decode(self, _keep_alpha: bool, _at_least: int | None, /) -> np.ndarray:
        pixels = self.series.asarray().transpose(self.order)
        pixels = pixels[None] if pixels.ndim == 2 else pixels
        return as_given(_upright(pixels, self.orientation), self.info.dtype)


class NpyFile:
    """An array (H, W), (H, W, C) or (C, H, W) in NumPy's own format."""

    def __init__(self, file: BinaryIO, max_pixels: int, layout: NpyLayout) -> None:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if len(shape) not in (2, 3):
            raise BrokenSample(file.name, f"has the shape {shape}; a picture has H, W and channels")
        given = given_dtype(dtype, file.name)
        if os.fstat(file.fileno()).st_size - file.tell() < int(np.prod(shape)) * dtype.itemsize:
            raise BrokenSample(file.name, "truncated file")
        first = layout == "chw" or (layout == "auto" and shape[0] < shape[-1])
        self.axis = 0 if first else len(shape) - 1
        size = shape if len(shape) == 2 else tuple(n for i, n in enumerate(shape) if i != self.axis)
        _check_size(file.name, (size[0], size[1]), max_pixels)
        channels = shape[self.axis] if len(shape) == 3 else 1
        self.file = file
        self.info = PictureInfo(size=(size[0], size[1]), channels=channels, dtype=given, array=True)

    def decode(self, _keep_alpha: bool, _at_least: int | None, /) -> np.ndarray:
        self.file.seek(0)
        pixels: np.ndarray = np.load(self.file, allow_pickle=False)
        pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, self.axis, 0)
        return as_given(pixels, self.info.dtype)


def given_dtype(dtype: np.dtype, name: str) -> str:
    """Return the dtype that numbers of `dtype` are read as: few kinds, which torch has too.

    Raises `BrokenSample` for what is not numbers.
    """
    match dtype.kind, dtype.itemsize:
        case ("b", _) | ("u", 1):
            return "uint8"
        case ("u", 2):
            return "uint16"
        case ("i", 1 | 2):
            return "int16"
        case ("i", 4):
            return "int32"
        case ("u" | "i" | "f", _):
            return "float32"
    raise BrokenSample(name, f"holds {'Python objects' if dtype.hasobject else dtype}, not plain numbers")


def as_given(pixels: np.ndarray, dtype: str) -> np.ndarray:
    """Return the numbers as `given_dtype` says; truths become 0 and 255."""
    return np.ascontiguousarray(pixels * np.uint8(255) if pixels.dtype == bool else pixels).astype(dtype)
