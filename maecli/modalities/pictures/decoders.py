"""Decoders of picture files: what the first bytes say a file is, its header, and its pixels upright.

Most formats by Pillow, TIFF by Pillow or tifffile, HEIC by pillow-heif, `.npy` by NumPy; each is loaded when a file
needs it. A damaged file raises whatever its decoder raises, or `BrokenSample` where the reason is known: `read` makes
all of them `BrokenSample`.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np

from maecli.data.file_reading import FileReading, NpyLayout, PageMeaning
from maecli.errors import BrokenSample
from maecli.modalities.arrays import given_dtype, npy_header
from maecli.modalities.pictures import formats
from maecli.modalities.pictures.bands import averaging, by_bands, collected
from maecli.modalities.pictures.decoder_bounds import FewReads, bound_codecs, check_runs, check_scans
from maecli.modalities.pictures.formats import START, format_of, why_unknown
from maecli.modalities.pictures.header import Nothing, PictureInfo, Source, check_size, on_white, shrunk
from maecli.modalities.pictures.heif import HeicFile, avif_bits
from maecli.modalities.pictures.jpeg2000 import check_codestream
from maecli.modalities.pictures.netpbm import NetpbmFile
from maecli.modalities.pictures.nodata import GDAL_NODATA, PHOTOMETRIC, TAGS, bits_in, nodata_in
from maecli.modalities.pictures.orientation import orientation_of
from maecli.modalities.pictures.plugins import is_first_of_several, pillow_plugins
from maecli.modalities.pictures.tiff_colours import (
    BLACK_IS_ZERO,
    INKS,
    PALETTE,
    WHITE_IS_ZERO,
    as_shown,
    check_colours,
    greatest,
    nothing_as_shown,
    photometric_of,
    shown_as,
    turned_around,
)
from maecli.modalities.pictures.tiff_pages import TiffPages
from maecli.modalities.pictures.tiff_planes import Planes, picture_planes

if TYPE_CHECKING:
    from PIL import Image

PNG_HEAD = 4096
"""Bytes of a PNG in which its significant bits are looked for."""
MOST_UNPACKED = 32
"""Bytes of pixels for each byte of a TIFF, where pixels take more than 4 bytes for each of `max_pixels`."""


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
            return _tiff(file, max_pixels, files.tiff_pages)
        case "Netpbm":
            return NetpbmFile(file, max_pixels)
        case "HEIC":
            return HeicFile(file, max_pixels)
        case str(title):
            return _pillow(title, start, file, max_pixels)


def _pillow(title: str, start: bytes, file: BinaryIO, max_pixels: int) -> PillowFile:
    """Open a file of one of Pillow's formats, once its header has been looked at where Pillow believes it."""
    bits: tuple[int, ...] = ()
    match title:
        case "WebP":  # Pillow sets the canvas aside when it opens one
            check_size(file.name, _webp_size(start), max_pixels)
        case "GIF":
            check_size(file.name, _gif_size(start), max_pixels)
        case "AVIF":
            _check_avif(file.name)
            bits = avif_bits(file)
        case "JPEG 2000":
            bits = check_codestream(file, max_pixels).bits
    file.seek(0)
    if title in ("WebP", "AVIF"):  # read as a whole
        image = pillow_plugins()[title](file)
    else:
        with FewReads(file) as opening:
            image = pillow_plugins()[title](opening)
        check_runs(image, file.name)
    return PillowFile(image, max_pixels, file.name, bits=bits, frames=is_first_of_several(image))


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


_MODES: dict[str, tuple[int, bool, str]] = {
    "1": (1, False, "uint8"),
    "L": (1, False, "uint8"),
    "LA": (1, True, "uint8"),
    "La": (1, True, "uint8"),
    "P": (3, False, "uint8"),
    "PA": (3, True, "uint8"),
    "RGB": (3, False, "uint8"),
    "RGBX": (4, False, "uint8"),
    "RGBA": (3, True, "uint8"),
    "RGBa": (3, True, "uint8"),
    "CMYK": (3, False, "uint8"),
    "YCbCr": (3, False, "uint8"),
    "LAB": (3, False, "uint8"),
    "I;16": (1, False, "uint16"),
    "I;16B": (1, False, "uint16"),
    "I": (1, False, "int32"),
    "F": (1, False, "float32"),
}
"""Pillow's mode → channels, alpha, dtype."""


class PillowFile:
    """A picture that Pillow decodes."""

    def __init__(
        self,
        image: Image.Image,
        max_pixels: int,
        name: str,
        *,
        four_bands: bool = False,
        bits: tuple[int, ...] = (),
        frames: bool = False,
        black: float | None = None,
    ) -> None:
        """Take an opened picture.

        One of `four_bands` has no alpha, whatever Pillow takes the fourth for; of one of several `frames` the others
        are not read; `bits` are those of its values, of which its decoder may give fewer; `black` is the number that
        stands for black where 0 is white and Pillow leaves it so.
        """
        if image.mode not in _MODES:
            raise BrokenSample(name, f"has the colour mode {image.mode}, which is not supported")
        check_size(name, (image.height, image.width), max_pixels)
        channels, alpha, dtype = _MODES[image.mode]
        if four_bands:
            channels, alpha = 4, False
            image._mode = "RGBX" if image.mode == "RGB" else image.mode  # in which Pillow decodes the fourth, too
        # Pillow would decode a PNG's pixels to look for a note behind them
        orientation = 1 if image.format == "PNG" and "exif" not in image.info else orientation_of(image)
        self.image, self.max_pixels, self.name, self.black = image, max_pixels, name, black
        self.info = PictureInfo(
            size=(image.width, image.height) if orientation >= 5 else (image.height, image.width),
            channels=channels,
            dtype=dtype,
            alpha=alpha or (image.mode == "P" and "transparency" in image.info),
            upper_bits=(dtype == "uint8" and max(bits, default=8) > 8)
            or any(str(tile.args) in ("RGB;16B", "RGBA;16B", "LA;16B") for tile in getattr(image, "tile", ())),
            frames=frames,
            nodata=_pillow_nodata(image, np.dtype(dtype), black),
            bits=_pillow_bits(image) if dtype == "uint16" else None,
        )

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        image = self.image
        if image.format == "JPEG":
            check_scans(image, self.max_pixels, self.name)
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        if keep_alpha and image.format == "TIFF":
            _take_as_stored(image)
        image.load()
        size, channels = (image.height, image.width), self.info.channels + (self.info.alpha and keep_alpha)
        factors = averaging(channels, size, at_least)

        def read(rows: slice) -> np.ndarray:
            whole = rows.stop - rows.start == image.height
            part = image if whole else image.crop((0, rows.start, image.width, rows.stop))
            return self._pixels(part, keep_alpha)

        pixels = collected(read, channels, size, factors)
        return np.asarray(_upright(pixels, orientation_of(image)), dtype=self.info.dtype)

    def _pixels(self, image: Image.Image, keep_alpha: bool) -> np.ndarray:
        """Return the (C, h, w) of some rows."""
        if self.info.alpha:
            image = image.convert("LA" if self.info.channels == 1 else "RGBA")
            image = image if keep_alpha else _on_white(image)
        elif image.mode == "1" or self.info.channels == 3:
            image = image.convert("L" if image.mode == "1" else "RGB")
        pixels = np.asarray(image)
        if self.black is not None:
            pixels = turned_around(pixels, self.black)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _pillow_nodata(image: Image.Image, dtype: np.dtype, black: float | None) -> Nothing | None:
    """Return what a TIFF's header names as nothing, in terms of its pixels as they are decoded."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or GDAL_NODATA not in tags:
        return None
    value = nodata_in(tags[GDAL_NODATA], np.dtype(bool) if image.mode == "1" else dtype)
    if value is None or dtype.kind == "f":
        return value
    if image.mode == "P":
        colour = (image.getpalette("RGB") or [])[3 * int(value) :][:3]
        return (colour[0], colour[1], colour[2]) if len(colour) == 3 else None
    value = 255 * value if image.mode == "1" else value
    black = 255 if image.mode in ("1", "L") and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else black
    return value if black is None else black - value


def _pillow_bits(image: Image.Image) -> int | None:
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        return bits_in(tags)
    return _png_bits(image) if image.format == "PNG" else None


def _png_bits(image: Image.Image) -> int | None:
    """Return the bits that a PNG's header calls significant (PNG, 11.3.2.7), where they are fewer than 16."""
    file: BinaryIO = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    head, found, rest = file.read(PNG_HEAD).partition(b"sBIT")
    file.seek(place)
    return rest[0] if found and rest and b"IDAT" not in head and 8 <= rest[0] < 16 else None


def _take_as_stored(image: Image.Image) -> None:
    """Let Pillow leave the colours of a TIFF alone that are multiplied by alpha, instead of dividing them by it."""
    tiles = getattr(image, "tile", ())
    stored = [tile._replace(args=tuple("RGBA" if part == "RGBa" else part for part in tile.args)) for tile in tiles]
    image.tile = stored  # type: ignore[attr-defined]


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    colour = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, colour).convert("L" if image.mode == "LA" else "RGB")


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation of (C, H, W): Exif 2.32, tag 0x0112."""
    if orientation >= 5:
        pixels = pixels.transpose(0, 2, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    return pixels


def _tiff(file: BinaryIO, max_pixels: int, tiff_pages: PageMeaning) -> Source:
    """Let Pillow read a TIFF's page if it has the usual colours, tifffile the rest; see `picture_planes`."""
    end = os.fstat(file.fileno()).st_size
    TiffPages(file, end, max_pixels).check()
    file.seek(0)
    import tifffile

    bound_codecs(tifffile.TIFF.DECOMPRESSORS)
    # other files of a set are not opened, nor are lists of pages believed that only index them
    opened = tifffile.TiffFile(file, _multifile=False, is_mmstack=False, is_ndtiff=False)
    planes = picture_planes(opened, tiff_pages, file.name)
    page = planes.page
    for part in planes.pages:
        if part is None or any(a + n > end for a, n in zip(part.dataoffsets, part.databytecounts, strict=False)):
            raise BrokenSample(file.name, "truncated file")
        if len(part.dataoffsets) != len(part.databytecounts):
            raise BrokenSample(file.name, "damaged file: its strips have not as many places as lengths")
    kind = photometric_of(page)
    grey = page.samplesperpixel == 1 and str(page.dtype) in ("bool", "uint8", "uint16", "float32")
    if kind in (WHITE_IS_ZERO, PALETTE) and page.bitspersample > 8:  # of which Pillow knows one
        grey = grey and kind == WHITE_IS_ZERO and page.bitspersample == 16 and opened.byteorder == "<"
    colour = page.samplesperpixel in (3, 4) and page.bitspersample == 8 and page.planarconfig == 1
    by_pillow = planes.number is not None and (grey or (colour and kind != BLACK_IS_ZERO))
    check_colours(page, len(planes.pages), by_pillow, file.name)
    alpha = _tiff_alpha(planes)
    if by_pillow:
        from PIL import TiffImagePlugin

        file.seek(0)
        image = TiffImagePlugin.TiffImageFile(file)
        image.seek(planes.number or 0)
        four_bands = page.samplesperpixel == 4 and alpha is None and kind != INKS
        black = greatest(page, np.dtype(page.dtype)) if kind == WHITE_IS_ZERO and image.mode == "I;16" else None
        source: PillowFile | TiffFile = PillowFile(image, max_pixels, file.name, four_bands=four_bands, black=black)
    else:
        source = TiffFile(planes, max_pixels, file.name, end, alpha)
    source.info = replace(source.info, pages=planes.others, thumbnail=planes.thumbnail, inverted=kind == WHITE_IS_ZERO)
    return source


TiffAlpha = Literal["multiplied", "apart"]
"""Whether the colours of a TIFF are multiplied by its alpha."""


def _tiff_alpha(planes: Planes) -> TiffAlpha | None:
    """Return what a single band beyond grey or colour is flagged as (TIFF 6.0, ExtraSamples); None for a plain band."""
    import tifffile

    page = planes.page
    kinds = tifffile.PHOTOMETRIC
    own = {kinds.MINISBLACK: 1, kinds.RGB: 3}.get(page.photometric)  # type: ignore[call-overload]
    extra = tuple(int(kind) for kind in page.extrasamples)
    usual = len(planes.pages) == 1 and str(page.dtype) in ("uint8", "uint16")
    if not usual or own is None or page.samplesperpixel != own + 1 or len(extra) != 1:
        return None
    return {1: "multiplied", 2: "apart"}.get(extra[0])  # type: ignore[return-value]


class TiffFile:
    """A TIFF that tifffile decodes: any number of channels, in pages or samples."""

    def __init__(
        self,
        planes: Planes,
        max_pixels: int,
        name: str,
        num_bytes: int,
        alpha: TiffAlpha | None = None,
    ) -> None:
        axes, shape = planes.axes, planes.shape
        if "Y" not in axes or "X" not in axes or len(axes) > 3:
            raise BrokenSample(name, f"has the axes {axes} {tuple(shape)}; a picture has H, W and channels")
        self.planes = planes
        self.order = [i for i, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
        tag = planes.page.tags.get("Orientation")
        self.orientation = int(tag.value) if tag is not None and int(tag.value) in range(1, 9) else 1
        height, width = shape[axes.index("Y")], shape[axes.index("X")]
        check_size(name, (height, width), max_pixels)
        channels, dtype = shape[self.order[0]] if len(axes) == 3 else 1, np.dtype(planes.page.dtype)
        if channels < 1:
            raise BrokenSample(name, "has no pixels")
        channels, shown = shown_as(planes.page, channels, dtype)
        unpacked = max(planes.unpacked, channels * height * width * shown.itemsize)
        if unpacked > max(MOST_UNPACKED * num_bytes, 4 * max_pixels):
            raise BrokenSample(
                name,
                f"asks for {unpacked:,} bytes of pixels, over {MOST_UNPACKED} times its own and 4 times max_pixels",
            )
        self.alpha = alpha
        tags = {tag.code: tag.value for tag in map(planes.page.tags.get, TAGS) if tag is not None}
        nodata = nodata_in(tags.get(GDAL_NODATA), dtype)
        self.info = PictureInfo(
            size=(width, height) if self.orientation >= 5 else (height, width),
            channels=channels - (alpha is not None),
            dtype=given_dtype(shown, name),
            alpha=alpha is not None,
            nodata=None if nodata is None else nothing_as_shown(nodata, planes.page),
            bits=bits_in(tags) if dtype == np.uint16 else None,
        )

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        pixels = self.planes.read().transpose(self.order)
        pixels = as_shown(pixels[None] if pixels.ndim == 2 else pixels, self.planes.page)
        if self.alpha is not None and not keep_alpha:
            multiplied = self.alpha == "multiplied"
            pixels = by_bands(lambda part: on_white(part, multiplied), pixels)
        return shrunk(_upright(pixels, self.orientation), self.info, at_least)


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
