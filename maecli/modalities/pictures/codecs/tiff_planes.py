"""Which of a TIFF's pages are the picture: one of them, or several that are its channels.

A page may be a thumbnail of another, a mask, a step of a pyramid, a page of a scan, a slice, or a channel. Only the
libraries that describe their files (OME, ImageJ, tifffile's own shapes …) say which; plain pages say at most that they
are smaller versions.

Axes are tifffile's letters: Y, X, S samples of a pixel, C channels, E wavelengths, Z slices, T times, Q not said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maecli.data.file_reading import PageMeaning
from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.tiff_colours import PALETTE

if TYPE_CHECKING:
    import tifffile

THUMBNAIL = 512
"""The longest side of what may be a thumbnail by its size alone."""
_PLAIN = ("uniform", "generic")
"""tifffile's kinds of series in files that do not describe themselves."""
_WRITES_ARRAYS = "tifffile"
"""Of the software that a file names: its pages are parts of one array, also where it does not describe them."""


@dataclass(frozen=True, slots=True)
class Planes:
    """The pages that are the picture, or the one."""

    axes: str
    """Y, X, and at most one more."""
    shape: tuple[int, ...]
    page: tifffile.TiffPage
    """The one, or one that all are alike."""
    pages: Sequence[tifffile.TiffPage | tifffile.TiffFrame | None]
    read: Callable[[], np.ndarray]
    unpacked: int
    """Bytes that are decoded for it."""
    number: int | None
    """Of the only page in the file, where it is one of the main list."""
    others: bool = False
    """Whether the file has more pages that show something else."""
    thumbnail: bool = False
    """Whether smaller versions of the picture stand before it."""


def picture_planes(opened: tifffile.TiffFile, meaning: PageMeaning, name: str) -> Planes:
    """Return the pages that are the picture.

    `auto` takes pages for channels where the file describes them as such, else the first page that is no thumbnail.
    Raises `BrokenSample` where several axes may be channels, and for a file without pages.
    """
    pages = _loaded(opened.pages)
    if not any(page.shape for page in pages):
        raise BrokenSample(name, "has no pixels")
    main, number = _full_page(pages)
    thumbnail = number != 0
    if meaning == "first" or number is None:
        return _single(main, number, _shows_more(pages, main), thumbnail)
    series = next((part for part in opened.series if _holds(part, main)), None)
    if series is None or (meaning == "auto" and (int(main.photometric) == PALETTE or not _is_described(series))):
        return _single(main, number, _shows_more(pages, main), thumbnail)
    axes = _channel_axes(series, meaning, name)
    if meaning == "channels" and not axes and len(alike := [page for page in pages if _is_alike(page, main)]) > 1:
        unpacked = len(alike) * _unpacked(main)
        return Planes(
            f"C{main.axes}", (len(alike), *main.shape), main, alike, lambda: _joined(alike, main.shape), unpacked, None
        )
    left = [axis for axis, num in zip(series.axes, series.shape, strict=True) if num > 1 and axis not in f"YX{axes}"]
    if not axes or axes in series.keyframe.axes:
        others = bool(left) or _shows_more(pages, main, list(series.pages))
        return _single(main, number, others, thumbnail)
    planes = _stacked(series, axes)
    others = bool(left) or _shows_more(pages, main, list(series.pages))
    return Planes(*planes, number=None, others=others, thumbnail=thumbnail)


def _channel_axes(series: tifffile.TiffPageSeries, meaning: PageMeaning, name: str) -> str:
    """Return the axis that holds channels; nothing if a page of the series is grey and the others are no channels."""
    wide = [axis for axis, num in zip(series.axes, series.shape, strict=True) if num > 1 and axis not in "YX"]
    if meaning == "channels":
        found = wide
    else:
        named = [axis for axis in wide if axis in "SCE"]
        found = named or [axis for axis in wide if axis in "QI"]
    if "Y" not in series.axes or "X" not in series.axes or len(found) > 1:
        shape = tuple(series.shape)
        reason = f"has the axes {series.axes} {shape}; a picture has H, W and channels"
        raise BrokenSample(name, f"{reason} (dataset.tiff_pages=first takes the first page)")
    return found[0] if found else ""


def _is_described(series: tifffile.TiffPageSeries) -> bool:
    """Whether a file says what its pages are to each other, or that they are one array."""
    return series.kind not in _PLAIN or series.keyframe.software.startswith(_WRITES_ARRAYS)


def _single(page: tifffile.TiffPage, number: int | None, others: bool, thumbnail: bool) -> Planes:
    return Planes(page.axes, page.shape, page, [page], page.asarray, _unpacked(page), number, others, thumbnail)


def _unpacked(page: tifffile.TiffPage) -> int:
    return math.prod(page.shape) * np.dtype(page.dtype).itemsize


def _stacked(
    series: tifffile.TiffPageSeries, axis: str
) -> tuple[
    str,
    tuple[int, ...],
    tifffile.TiffPage,
    Sequence[tifffile.TiffPage | tifffile.TiffFrame | None],
    Callable[[], np.ndarray],
    int,
]:
    """Return the pages of a series along one axis, at the beginning of all others."""
    page = series.keyframe
    lead = series.axes.removesuffix(page.axes)
    sizes = series.shape[: len(lead)]
    itemsize = np.dtype(series.dtype).itemsize
    place = tuple(slice(None) if letter in f"YX{axis}" else 0 for letter in series.axes)
    axes = "".join(letter for letter, part in zip(series.axes, place, strict=True) if part != 0)
    shape = tuple(num for num, part in zip(series.shape, place, strict=True) if part != 0)
    if series.axes == lead + page.axes and math.prod(sizes) == len(series.pages):
        ids = np.arange(len(series.pages)).reshape(sizes)[place[: len(lead)]].tolist()
        parts = [series.pages[i] for i in ids]
        unpacked = math.prod(shape) * itemsize
        return axes, shape, page, parts, lambda: _joined(parts, page.shape), unpacked
    unpacked = math.prod(series.shape) * itemsize  # one page speaks for all that lies behind it
    return axes, shape, page, list(series.pages), lambda: series.asarray()[place], unpacked


def _joined(pages: Sequence[tifffile.TiffPage | tifffile.TiffFrame | None], shape: tuple[int, ...]) -> np.ndarray:
    """Return pages as one array; a page that has another shape than the header was believed to say is not read."""
    if any(page is None for page in pages):
        raise EOFError
    if any(page.shape != shape for page in pages if page is not None):
        raise ValueError("its pages have several sizes")
    return np.stack([page.asarray() for page in pages if page is not None])


def _loaded(pages: tifffile.TiffPages) -> list[tifffile.TiffPage]:
    """Return the pages that have headers of their own, in the order of the file."""
    import tifffile

    return [page for page in pages if isinstance(page, tifffile.TiffPage)]


def _full_page(pages: Sequence[tifffile.TiffPage]) -> tuple[tifffile.TiffPage, int | None]:
    """Return the first page that is no smaller version of another, and its number; None if it is not of the main list.

    Cameras put what they take below the page of its thumbnail.
    """
    full = [i for i, page in enumerate(pages) if _is_full(page)]
    if not full:
        below = [page for page in (_loaded(pages[0].pages) if pages[0].pages else ()) if _is_full(page)]
        if below:
            return max(below, key=_area), None
        number = max(range(len(pages)), key=lambda i: _area(pages[i]))
        return pages[number], number
    number = next(i for i in full if not any(_is_thumbnail(pages[i], pages[other]) for other in full))
    return pages[number], number


def _is_full(page: tifffile.TiffPage) -> bool:
    return bool(page.shape) and not page.is_reduced and not page.is_mask


def _is_alike(page: tifffile.TiffPage, other: tifffile.TiffPage) -> bool:
    return _is_full(page) and (page.axes, page.shape, page.dtype) == (other.axes, other.shape, other.dtype)


def _is_thumbnail(page: tifffile.TiffPage, other: tifffile.TiffPage) -> bool:
    """Whether a page is a smaller version of another by its size alone."""
    if max(page.imagelength, page.imagewidth) > THUMBNAIL:
        return False
    times = min(other.imagelength / max(1, page.imagelength), other.imagewidth / max(1, page.imagewidth))
    return times >= 4 or (times >= 2 and _same_proportions(page, other))


def _same_proportions(page: tifffile.TiffPage, other: tifffile.TiffPage) -> bool:
    """Whether two pages are of the same proportions, as far as rounding to whole pixels lets them."""
    across, down = page.imagewidth * other.imagelength, page.imagelength * other.imagewidth
    return abs(across - down) <= max(other.imagelength, other.imagewidth)


def _shows_more(
    pages: Sequence[tifffile.TiffPage],
    main: tifffile.TiffPage,
    taken: Sequence[tifffile.TiffPage | tifffile.TiffFrame | None] = (),
) -> bool:
    """Whether there are pages besides the main one and those taken that are no smaller versions of it, nor masks."""
    offsets = {main.offset, *(page.offset for page in taken if page is not None)}
    return any(
        page.offset not in offsets
        and _is_full(page)
        and not (_area(page) < _area(main) and _same_proportions(page, main))
        and not _is_thumbnail(page, main)
        for page in pages
    )


def _holds(series: tifffile.TiffPageSeries, page: tifffile.TiffPage) -> bool:
    return any(part is not None and part.offset == page.offset for part in series.pages)


def _area(page: tifffile.TiffPage) -> int:
    return page.imagelength * page.imagewidth
