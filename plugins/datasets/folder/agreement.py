"""Which channels and dtype the pictures of a folder are brought to, and what that changes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from maecli import api
from maecli.api import pictures

Value = TypeVar("Value", bound=int | str)


def agree(root: Path, headers: pictures.Headers, channels: int | None, dtype: str | None = None) -> tuple[int, str]:
    """Return the channels and the dtype of a set: those that most of its pictures can be brought to.

    Grey and colour can be converted to each other, as can 8 and 16 bits; a band that is flagged as alpha counts where
    others have it as a plain band. Raises DataError where as many pictures speak for one as for another.
    """
    channels = _channels(root, headers) if channels is None else channels
    if dtype is not None:
        return channels, dtype
    dtypes: Counter[str] = Counter()
    for info, num in headers.counts():
        dtypes[info.dtype] += num
    counts = {dtype: num for dtype, num in dtypes.items() if dtype not in ("uint8", "uint16")}
    if integers := dtypes["uint8"] + dtypes["uint16"]:
        counts["uint8" if dtypes["uint8"] else "uint16"] = integers
    best, rival = _most(counts or {"uint8": 0})
    if rival is not None:
        one, other = (headers.first(partial(_has, "dtype", dtype)) for dtype in (best, rival))
        raise api.DataError(
            f"of the pictures in {root} as many have {best} as {rival} pixels ({counts[best]:,} each; {one} and "
            f"{other}, for two), and neither can become the other; keep one kind in the folder"
        )
    return channels, best


def _channels(root: Path, headers: pictures.Headers) -> int:
    kinds: Counter[tuple[int, bool, bool]] = Counter()
    for info, count in headers.counts():
        kinds[info.channels, info.alpha, info.array] += count
    numbers = {num for num, _, _ in kinds}
    colour = any(num == 3 and not array for num, _, array in kinds)
    counts = {
        num: sum(count for kind, count in kinds.items() if _fits(kind, num))
        for num in (numbers - {1} if colour else numbers)
    }
    best, rival = _most(counts or {1: 0})
    if rival is None:
        return best
    one, other = (headers.first(partial(_has, "channels", num)) for num in (best, rival))
    raise api.DataError(
        f"of the pictures in {root} as many can have {best} channels as {rival} ({counts[best]:,} each; {one} and "
        f"{other}, for two); say which with --set dataset.channels={best} or --set dataset.channels={rival}"
    )


def _has(field: str, value: int | str, info: pictures.PictureInfo) -> bool:
    return bool(getattr(info, field) == value)


def _fits(kind: tuple[int, bool, bool], channels: int) -> bool:
    own, alpha, array = kind
    return not pictures.misfit(pictures.PictureInfo((1, 1), own, "uint8", alpha, array), channels, None)


def _most(counts: Mapping[Value, int]) -> tuple[Value, Value | None]:
    """Return the value that counts most, and another one that counts as much."""
    best, *others = sorted(counts, key=lambda value: (-counts[value], value))
    return best, others[0] if others and counts[others[0]] == counts[best] else None


def converted(
    headers: pictures.Headers,
    channels: int,
    dtype: str,
    files: pictures.FileReading,
    npy_layout: pictures.NpyLayout,
    missing: bool,
) -> dict[str, int]:
    """Return how many pictures are changed by what it takes to make all of them alike, or are read in one of two ways.

    `npy_layout` is what was given; `missing` says whether cells may be.
    """
    with_alpha = 2 if channels == 1 else 4
    depth = "of 16 bits" if files.bits == 16 else f"of {files.bits} bits in 16-bit files"
    counts: Counter[str] = Counter()
    for info, num in headers.counts():
        kept = pictures.keeps_alpha(info, channels)
        colours = channels - kept
        is_array = info.shape != () and npy_layout == "auto"
        first = info.size == info.shape[1:]
        changes = {
            "grey, given three equal channels": info.channels == 1 and colours == 3,
            "in colour, made grey": info.channels == 3 and colours == 1,
            f"transparent or flagged as alpha, laid on white (dataset.channels={with_alpha} keeps it as a band)": (
                info.alpha and not kept
            ),
            "flagged as alpha, taken as a band": kept,
            f"{depth}, scaled to 8 by {files.most:,}": info.dtype == "uint16" and dtype == "uint8",
            f"{depth}, whose range is 0 to {files.most:,}": info.dtype == dtype == "uint16" and files.bits < 16,
            "naming a nodata value, whose cells are missing (dataset.nodata=none keeps them)": (
                info.nodata is not None and files.nodata != "none"
            ),
            "of 8 bits, scaled to 16": info.dtype == "uint8" and dtype == "uint16",
            "of float values, of which NaN are missing cells": info.dtype == "float32" and missing,
            "arrays, read as channels, height, width": is_array and first,
            "arrays, read as height, width, channels": is_array and not first,
            "in colour of more than 8 bits, read at the upper 8": info.upper_bits,
            "the first of several pictures in its file": info.frames,
            "one of several pages of a TIFF (dataset.tiff_pages=channels takes them for channels)": info.pages,
            "in a TIFF behind a thumbnail, which is passed over": info.thumbnail,
            "with white as 0 (MINISWHITE), turned around": info.inverted,
        }
        for what, holds in changes.items():
            counts[what] += num * bool(holds)
    return {what: num for what, num in counts.items() if num}
