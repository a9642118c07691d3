"""Pictures as arrays: reading their headers, decoding them, and giving them the channels and dtype that are wanted.

Files are told apart by their first bytes and not by their names (see `formats`). Whatever is wrong with one becomes a
`BrokenSample` with a short reason. The libraries that decode are loaded when a file needs them: `maecli.api` is
imported by plugins that read none.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.arrays import as_given, given_dtype
from maecli.modalities.files import reading
from maecli.modalities.pictures.bands import bands, by_bands
from maecli.modalities.pictures.decoders import NpyLayout, PillowFile, open_source
from maecli.modalities.pictures.header import PictureInfo
from maecli.modalities.pictures.tiff_planes import PageMeaning

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 178_956_970
"""Default bound on height times width, against decompression bombs; Pillow warns at the same number."""

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey: ITU-R BT.601."""


def probe_picture(
    path: Path, *, max_pixels: int = MAX_PIXELS, npy_layout: NpyLayout = "auto", tiff_pages: PageMeaning = "auto"
) -> PictureInfo:
    """Read a picture's header, and no pixels. Raises `BrokenSample` if the file cannot be a picture."""
    with reading(path), path.open("rb") as file:
        return open_source(file, max_pixels, npy_layout, tiff_pages).info


def read_picture(
    path: Path,
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
        npy_layout: which axis of a 3-D `.npy` holds the channels; `auto` takes the shorter one of the first
            and the last, and the last if they are equal. 2-D arrays are (H, W).
        tiff_pages: whether pages of a TIFF are channels, or only the first that is no thumbnail is read; `auto` takes
            them for channels where the file describes them as such.
        at_least: let JPEG decode at a half, quarter or eighth of its size, and average blocks of pixels of a picture
            of more than 2²⁶ values, but with sides no shorter than this.

    Raises `BrokenSample` if the file is damaged, too large or cannot be brought to `channels` and `dtype`.
    """
    with reading(path), path.open("rb") as file:
        source = open_source(file, max_pixels, npy_layout, tiff_pages)
        _check_fits(path, source.info, channels, dtype)
        pixels = source.decode(keeps_alpha(source.info, channels), at_least)
        _check_finite(pixels, path)
        return _to_dtype(_to_channels(pixels, channels), dtype)


def picture_array(
    picture: Image.Image | np.ndarray, *, channels: int | None = None, dtype: str | None = None
) -> np.ndarray:
    """Return an opened picture, or an array (H, W) or (H, W, C), as `read_picture` returns a file: (C, H, W).

    Raises `BrokenSample` if it cannot be brought to `channels` and `dtype`.
    """
    from PIL import Image

    name = Path(getattr(picture, "filename", "") or "picture")
    with reading(name):
        if isinstance(picture, Image.Image):
            source = PillowFile(picture, MAX_PIXELS, str(name))
            info = source.info
            pixels = source.decode(keeps_alpha(info, channels), None)
        else:
            if picture.ndim not in (2, 3):
                raise BrokenSample(str(name), f"has the shape {picture.shape}; a picture has H, W and channels")
            values = as_given(np.atleast_3d(picture).transpose(2, 0, 1), given_dtype(picture.dtype, str(name)))
            pixels = values.copy() if np.shares_memory(values, picture) else values
            info = PictureInfo((pixels.shape[1], pixels.shape[2]), len(pixels), str(pixels.dtype))
        _check_fits(name, info, channels, dtype)
        _check_finite(pixels, name)
        return _to_dtype(_to_channels(pixels, channels), dtype)


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


def _check_fits(path: Path, info: PictureInfo, channels: int | None, dtype: str | None) -> None:
    if reason := misfit(info, channels, dtype):
        raise BrokenSample(str(path), reason)


def _check_finite(pixels: np.ndarray, path: Path) -> None:
    if pixels.dtype.kind == "f" and not all(np.isfinite(pixels[:, rows]).all() for rows in _rows(pixels)):
        raise BrokenSample(str(path), "holds NaN or infinite values")


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


def _to_dtype(pixels: np.ndarray, dtype: str | None) -> np.ndarray:
    """Scale between uint8 and uint16 by the full range: 65,535 is 255 times 257."""
    if dtype is None or pixels.dtype == dtype:
        return pixels
    if dtype == "uint8":
        return by_bands(lambda part: ((part.astype(np.uint32) + 128) // 257).astype(np.uint8), pixels)
    return pixels.astype(np.uint16) * np.uint16(257)
