"""TIFF by Pillow, where a page has the usual colours, or by tifffile: any number of channels, in pages or samples.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO, Literal

import numpy as np

from maecli.data.file_reading import PageMeaning
from maecli.errors import BrokenSample
from maecli.modalities.arrays import given_dtype
from maecli.modalities.pictures.bands import by_bands
from maecli.modalities.pictures.codecs.decoder_bounds import bound_codecs
from maecli.modalities.pictures.codecs.header import (
    PictureInfo,
    Source,
    check_size,
    file_size,
    on_white,
    shrunk,
    upright,
)
from maecli.modalities.pictures.codecs.nodata import GDAL_NODATA, TAGS, bits_in, nodata_in
from maecli.modalities.pictures.codecs.pillow_files import PillowFile
from maecli.modalities.pictures.codecs.tiff_colours import (
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
)
from maecli.modalities.pictures.codecs.tiff_pages import TiffPages
from maecli.modalities.pictures.codecs.tiff_planes import Planes, picture_planes

MOST_UNPACKED = 32
"""Bytes of pixels for each byte of a TIFF, where pixels take more than 4 bytes for each of `max_pixels`."""


def open_tiff(file: BinaryIO, max_pixels: int, tiff_pages: PageMeaning) -> Source:
    """Let Pillow read a TIFF's page if it has the usual colours, tifffile the rest; see `picture_planes`."""
    end = file_size(file)
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
        return shrunk(upright(pixels, self.orientation), self.info, at_least)
