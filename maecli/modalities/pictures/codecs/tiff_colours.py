"""What the numbers of a TIFF stand for, where tifffile gives them as they are stored: white as 0, a palette, inks.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.pictures.bands import by_bands
from maecli.modalities.pictures.codecs.header import Nothing

if TYPE_CHECKING:
    import tifffile

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, INKS, YCBCR, CIELAB = 0, 1, 2, 3, 4, 5, 6, 8
"""PhotometricInterpretation (TIFF 6.0, section 8 and part 3)."""
_PHOTOMETRIC, _MAX_SAMPLE_VALUE, _INK_SET, _CMYK = 262, 281, 332, 1
_SAVE_AS = "which are not read; save it as RGB or grey"


def photometric_of(page: tifffile.TiffPage) -> int:
    """Return what the numbers of a page are; without a word, 0 is black, as in libtiff."""
    return int(page.photometric) if _PHOTOMETRIC in page.tags else BLACK_IS_ZERO


def check_colours(page: tifffile.TiffPage, num_pages: int, by_pillow: bool, name: str) -> None:
    """Raise `BrokenSample` for colours that neither Pillow nor `as_shown` makes grey or RGB of."""
    kind = photometric_of(page)
    if num_pages > 1 and kind not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        raise BrokenSample(name, "has pages in colours, which are no channels (dataset.tiff_pages=first takes one)")
    usual = (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK)
    unpacked_by_codec = kind == YCBCR and int(page.compression) in (6, 7)  # JPEG
    if kind in usual or unpacked_by_codec or (by_pillow and kind in (INKS, YCBCR, CIELAB)):
        return
    if kind == INKS:
        tag = page.tags.get(_INK_SET)
        if page.samplesperpixel == 4 and (tag is None or int(tag.value) == _CMYK) and page.dtype in ("uint8", "uint16"):
            return
    word = getattr(page.photometric, "name", str(kind))
    raise BrokenSample(name, f"has colours of the kind {word} in {page.samplesperpixel} × {page.dtype}, {_SAVE_AS}")


def shown_as(page: tifffile.TiffPage, channels: int, dtype: np.dtype) -> tuple[int, np.dtype]:
    """Return how many channels of what dtype `as_shown` makes of so many."""
    match photometric_of(page):
        case 3:  # PALETTE
            return 3, np.dtype(np.uint16 if dtype.itemsize > 1 else np.uint8)
        case 5:  # INKS
            return 3, dtype
    return channels, dtype


def as_shown(pixels: np.ndarray, page: tifffile.TiffPage) -> np.ndarray:
    """Return stored numbers (C, H, W) as grey or RGB in which the greatest value is white."""
    kind = photometric_of(page)
    if kind == WHITE_IS_ZERO:
        most = greatest(page, pixels.dtype)
        return by_bands(lambda part: turned_around(part, most), pixels)
    if kind == PALETTE:
        colours = page.colormap
        if colours is None:
            raise EOFError
        table = colours if pixels.dtype.itemsize > 1 else (colours >> 8).astype(np.uint8)
        return by_bands(lambda part: table[:, part[0]], pixels)
    return by_bands(_rgb_of_inks, pixels) if kind == INKS else pixels


def nothing_as_shown(value: float, page: tifffile.TiffPage) -> Nothing | None:
    """Return what stands for nothing in the pixels that `as_shown` makes, where `value` does in those of the file."""
    if photometric_of(page) == INKS:
        return None
    shown = as_shown(np.full((1, 1, 1), value, page.dtype), page)[:, 0, 0].tolist()
    return float(shown[0]) if len(shown) == 1 else (shown[0], shown[1], shown[2])


def greatest(page: tifffile.TiffPage, dtype: np.dtype) -> float:
    """Return the number that is black where 0 is white; of floats it is 1."""
    if dtype.kind in "fb":
        return 1
    if dtype.kind == "i":
        return -1  # of signed numbers, -1 - n is the mirrored one
    full = 2 ** int(np.max(page.bitspersample)) - 1
    tag = page.tags.get(_MAX_SAMPLE_VALUE)
    most = int(np.max(tag.value)) if tag is not None else full
    return most if 0 < most < full else full


def turned_around(pixels: np.ndarray, most: float) -> np.ndarray:
    """Return `most` less each number, in the dtype that they have."""
    if pixels.dtype.kind == "b":
        return ~pixels
    if pixels.dtype.kind == "u":
        pixels = np.minimum(pixels, pixels.dtype.type(most))
    turned: np.ndarray = pixels.dtype.type(most) - pixels
    return turned


def _rgb_of_inks(pixels: np.ndarray) -> np.ndarray:
    """Return red, green and blue of cyan, magenta, yellow and black, as Pillow does: without a profile."""
    most = int(np.iinfo(pixels.dtype).max)
    light = most - pixels.astype(np.int64)
    return ((light[:3] * light[3:] + most // 2) // most).astype(pixels.dtype)
