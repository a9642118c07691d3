"""Pictures as arrays: reading their headers, decoding them, and giving them the channels and dtype that are wanted.

Files are told apart by their first bytes and not by their names (see `formats`). Whatever is wrong with one becomes a
`BrokenSample` with a short reason. The libraries that decode are loaded when a file needs them: `maecli.api` is
imported by plugins that read none.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maecli.data.file_reading import FileReading, NpyLayout, PageMeaning
from maecli.data.sample import Sample
from maecli.errors import BrokenSample
from maecli.modalities.arrays import as_given, given_dtype
from maecli.modalities.files import reading
from maecli.modalities.pictures.bands import averaging, bands, by_bands
from maecli.modalities.pictures.codecs.decoders import open_source
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.codecs.nodata import is_nothing
from maecli.modalities.pictures.codecs.pillow_files import PillowFile
from maecli.modalities.pictures.within import PictureWithin
from maecli.modalities.survey import with_gaps

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 178_956_970
"""Default bound on height times width, against decompression bombs; Pillow warns at the same number."""

USUAL = FileReading()

Place = Path | PictureWithin
"""Where a picture is: in a file of its own, or within a larger one."""

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey: ITU-R BT.601."""


@dataclass(frozen=True)
class Reading:
    """How every picture of a set is decoded."""

    channels: int | None = None
    """None for a picture's own; see `read_picture`."""
    dtype: str | None = None
    max_pixels: int = MAX_PIXELS
    files: FileReading = USUAL
    missing: bool = False
    """Whether cells may be missing; else a picture that lacks some is broken."""


def probe_picture(
    path: Place,
    *,
    max_pixels: int = MAX_PIXELS,
    npy_layout: NpyLayout = "auto",
    tiff_pages: PageMeaning = "auto",
    channels: int | None = None,
) -> PictureInfo:
    """Read a picture's header, and no pixels. Raises `BrokenSample` if the file cannot be a picture.

    `channels` are those that are wanted of an array, where that is known.
    """
    files = _files(npy_layout, tiff_pages)
    with reading(path), path.open("rb") as file:
        return open_source(file, max_pixels, files, channels).info


def read_picture(
    path: Place,
    *,
    channels: int | None = None,
    dtype: str | None = None,
    max_pixels: int = MAX_PIXELS,
    npy_layout: NpyLayout = "auto",
    tiff_pages: PageMeaning = "auto",
    at_least: int | None = None,
) -> np.ndarray:
    """Return a picture (C, H, W) of its own dtype, upright according to its EXIF orientation.

    Args:
        channels: the C to return; None for the picture's own. Grey is repeated to 3, colour weighted to 1
            (ITU-R 601); 2 and 4 keep alpha as it is stored, which is otherwise laid on white. CMYK and palettes become
            RGB. A TIFF's bands that are not flagged as alpha are channels. Arrays are not converted.
        dtype: uint8 or uint16 scales the other of the two by its full range; other dtypes must match.
        npy_layout: which axis of a 3-D `.npy` holds the channels, unless only one end has as many as are wanted;
            `auto` takes the shorter one of the first and the last, and the last if they are equal. 2-D arrays are
            (H, W).
        tiff_pages: whether pages of a TIFF are channels, or only the first that is no thumbnail is read; `auto` takes
            them for channels where the file describes them as such.
        at_least: let JPEG decode at a half, quarter or eighth of its size, and average blocks of pixels of a picture
            of more than 2²⁶ values, but with sides no shorter than this.

    Raises `BrokenSample` if the file is damaged, too large, lacks cells or cannot be brought to `channels` and `dtype`.
    """
    how = Reading(channels, dtype, max_pixels, _files(npy_layout, tiff_pages))
    return read_cells(path, how, at_least)[0]


@functools.cache
def _files(npy_layout: NpyLayout, tiff_pages: PageMeaning) -> FileReading:
    return FileReading(npy_layout=npy_layout, tiff_pages=tiff_pages)


def read_cells(path: Place, how: Reading, at_least: int | None = None) -> Cells:
    """Return what `read_picture` does, and which of its cells exist, as far as NaN does not say it; None for all.

    Where cells may be missing, `at_least` makes large pictures smaller by leaving out pixels. Raises `BrokenSample`,
    also for a picture that lacks cells where none may be missing.
    """
    with reading(path), path.open("rb") as file:
        source = open_source(file, how.max_pixels, how.files, how.channels)
        _check_fits(path, source.info, how.channels, how.dtype)
        keep_alpha = keeps_alpha(source.info, how.channels)
        if not how.missing:
            return _cells(source.decode(keep_alpha, at_least), source.info, how, path)
        pixels = source.decode(keep_alpha, None)
        rows, columns = averaging(len(pixels), source.info.size, at_least)
        return _cells(pixels[:, ::rows, ::columns], source.info, how, path)


def read_sample(path: Place, how: Reading) -> Sample:
    """Return a picture as a sample, with `valid` where it lacks cells."""
    image, there = read_cells(path, how)
    return {"image": image} if there is None else {"image": image, "valid": there}


def read_image(path: Place, how: Reading, at_least: int | None = None) -> np.ndarray:
    """Return a picture (C, H, W), NaN where it lacks cells."""
    return _with_gaps(read_cells(path, how, at_least))


def _with_gaps(cells: Cells) -> np.ndarray:
    image, there = cells
    return image if there is None else with_gaps({"image": image, "valid": there})


def picture_array(picture: Image.Image | np.ndarray, how: Reading) -> np.ndarray:
    """Return an opened picture, or an array (H, W) or (H, W, C), as `read_image` returns a file.

    Raises `BrokenSample` if it cannot be brought to what is wanted.
    """
    return _with_gaps(_opened(picture, how))


def _opened(picture: Image.Image | np.ndarray, how: Reading) -> Cells:
    from PIL import Image

    name = Path(getattr(picture, "filename", "") or "picture")
    with reading(name):
        if isinstance(picture, Image.Image):
            source = PillowFile(picture, MAX_PIXELS, str(name))
            info = source.info
            pixels = source.decode(keeps_alpha(info, how.channels), None)
        else:
            if picture.ndim not in (2, 3):
                raise BrokenSample(str(name), f"has the shape {picture.shape}; a picture has H, W and channels")
            values = as_given(np.atleast_3d(picture).transpose(2, 0, 1), given_dtype(picture.dtype, str(name)))
            pixels = values.copy() if np.shares_memory(values, picture) else values
            info = PictureInfo((pixels.shape[1], pixels.shape[2]), len(pixels), str(pixels.dtype))
        _check_fits(name, info, how.channels, how.dtype)
        return _cells(pixels, info, how, name)


NONE_MISSING = "and the data set has none that may: train with dataset.nodata"
Cells = tuple[np.ndarray, np.ndarray | None]
"""A picture (C, H, W), and which of its cells exist, (C, H, W) or (1, H, W) for all channels; None for all."""


def keeps_alpha(info: PictureInfo, channels: int | None) -> bool:
    """Whether a picture's alpha becomes the last of so many channels, instead of being laid on white."""
    return info.alpha and channels in (2, 4)


def misfit(info: PictureInfo, channels: int | None, dtype: str | None) -> str:
    """Return why `read_picture` cannot bring such a picture to `channels` and `dtype`; empty if it can."""
    if channels is not None and info.channels != channels:
        colours = channels - keeps_alpha(info, channels)
        repeatable = not info.array and {info.channels, colours} == {1, 3}
        if not repeatable and info.channels != colours:
            plural = "" if info.channels == 1 else "s"
            return f"has {info.channels} channel{plural} where {channels} are wanted"
    if dtype is not None and info.dtype != dtype and not {info.dtype, dtype} <= {"uint8", "uint16"}:
        return f"has {info.dtype} pixels where {dtype} is wanted"
    return ""


def _check_fits(path: Place, info: PictureInfo, channels: int | None, dtype: str | None) -> None:
    if reason := misfit(info, channels, dtype):
        raise BrokenSample(str(path), reason)


def _cells(pixels: np.ndarray, info: PictureInfo, how: Reading, path: Place) -> Cells:
    """Return decoded pixels (C, H, W) as they are wanted, and which of their cells exist."""
    nothing = is_nothing(pixels, info.nodata, how.files.nodata)
    if pixels.dtype.kind == "f":
        pixels = pixels if nothing is None else np.where(nothing, np.float32(np.nan), pixels)
        _check_numbers(pixels, how.missing, path)
        return _to_channels(pixels, how.channels), None
    if nothing is None:
        return _to_dtype(_to_channels(pixels, how.channels), how, path), None
    if not how.missing:
        value = pixels[np.broadcast_to(nothing, pixels.shape)].flat[0]
        raise BrokenSample(str(path), f"lacks cells, those of its nodata value {value}, {NONE_MISSING}={value}")
    pixels = np.where(nothing, pixels.dtype.type(0), pixels)
    there = _there_in_channels(~nothing, len(pixels), how.channels)
    return _to_dtype(_to_channels(pixels, how.channels), how, path), there


def _check_numbers(pixels: np.ndarray, missing: bool, path: Place) -> None:
    """Raise `BrokenSample` for a float picture with infinite values, or NaN where nothing may be missing."""
    if all(np.isfinite(pixels[:, rows]).all() for rows in _rows(pixels)):
        return
    if any(np.isinf(pixels[:, rows]).any() for rows in _rows(pixels)):
        raise BrokenSample(str(path), "holds infinite values")
    if not missing:
        raise BrokenSample(str(path), f"lacks cells, those that are NaN, {NONE_MISSING}=nan")


def _rows(pixels: np.ndarray) -> Iterator[slice]:
    return bands(pixels.shape[1], len(pixels) * pixels.shape[2])


def _to_channels(pixels: np.ndarray, channels: int | None) -> np.ndarray:
    if channels is None or len(pixels) == channels:
        return pixels
    if channels in (2, 4):
        return np.concatenate([_to_channels(pixels[:-1], channels - 1), pixels[-1:]])
    if len(pixels) == 1:
        return np.repeat(pixels, channels, axis=0)
    return by_bands(_grey, pixels)


def _grey(pixels: np.ndarray) -> np.ndarray:
    grey = np.tensordot(np.array(GREY), pixels, 1)[None]  # (1, H, W)
    return (grey if pixels.dtype.kind == "f" else np.rint(grey)).astype(pixels.dtype)


def _there_in_channels(there: np.ndarray, num: int, channels: int | None) -> np.ndarray:
    """Return which cells exist once `num` channels have become `channels`; (1, H, W) if it is the same in all."""
    if channels is None or num == channels or len(there) == 1:
        return there
    if channels in (2, 4):
        colours = _there_in_channels(there[:-1], num - 1, channels - 1)
        return np.concatenate([np.broadcast_to(colours, (channels - 1, *there.shape[1:])), there[-1:]])
    return np.asarray(there.all(0, keepdims=True))


def _to_dtype(pixels: np.ndarray, how: Reading, path: Place) -> np.ndarray:
    """Scale between uint8 and uint16 by the range of the latter: of 16 bits, 65,535 is 255 times 257."""
    if how.dtype is None or pixels.dtype == how.dtype:
        return pixels
    most = how.files.most
    if how.dtype == "uint16":
        return pixels.astype(np.uint16) * np.uint16(257) if most == 65535 else _scaled(pixels, 255, most, np.uint16)
    if most < 65535 and (greatest := int(pixels.max())) > most:
        reason = f"holds {greatest:,}, over the {most:,} of {how.files.bits} bits; dataset.bits says how many there are"
        raise BrokenSample(str(path), reason)
    return by_bands(lambda part: _scaled(part, most, 255, np.uint8), pixels)


def _scaled(pixels: np.ndarray, most: int, wanted: int, dtype: type[np.integer]) -> np.ndarray:
    """Return whole numbers up to `most` as whole numbers up to `wanted`, rounded."""
    return ((pixels.astype(np.uint32) * np.uint32(wanted) + np.uint32(most // 2)) // np.uint32(most)).astype(dtype)
