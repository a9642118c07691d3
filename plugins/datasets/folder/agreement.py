"""Which channels and dtype the pictures of a folder are brought to, and what that changes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from maecli import api
from maecli.api import pictures

Infos = Mapping[str, pictures.PictureInfo]
Value = TypeVar("Value", bound=int | str)


def agree(root: Path, infos: Infos, channels: int | None, dtype: str | None = None) -> tuple[int, str]:
    """Return the channels and the dtype of a set: those that most of its pictures can be brought to.

    Grey and colour can be converted to each other, as can 8 and 16 bits; a band that is flagged as alpha counts where
    others have it as a plain band. Raises DataError where as many pictures speak for one as for another.
    """
    channels = _channels(root, infos) if channels is None else channels
    if dtype is not None:
        return channels, dtype
    dtypes = Counter(info.dtype for info in infos.values())
    counts = {dtype: num for dtype, num in dtypes.items() if dtype not in ("uint8", "uint16")}
    if integers := dtypes["uint8"] + dtypes["uint16"]:
        counts["uint8" if dtypes["uint8"] else "uint16"] = integers
    best, rival = _most(counts or {"uint8": 0})
    if rival is not None:
        one, other = (min(key for key, info in infos.items() if info.dtype == dtype) for dtype in (best, rival))
        raise api.DataError(
            f"of the pictures in {root} as many have {best} as {rival} pixels ({counts[best]:,} each; {one} and "
            f"{other}, for two), and neither can become the other; keep one kind in the folder"
        )
    return channels, best


def _channels(root: Path, infos: Infos) -> int:
    kinds = Counter((info.channels, info.alpha, info.array) for info in infos.values())
    numbers = {num for num, _, _ in kinds}
    colour = any(num == 3 and not array for num, _, array in kinds)
    counts = {
        num: sum(count for kind, count in kinds.items() if _fits(kind, num))
        for num in (numbers - {1} if colour else numbers)
    }
    best, rival = _most(counts or {1: 0})
    if rival is None:
        return best
    one, other = (min(key for key, info in infos.items() if info.channels == num) for num in (best, rival))
    raise api.DataError(
        f"of the pictures in {root} as many can have {best} channels as {rival} ({counts[best]:,} each; {one} and "
        f"{other}, for two); say which with --set dataset.channels={best} or --set dataset.channels={rival}"
    )


def _fits(kind: tuple[int, bool, bool], channels: int) -> bool:
    own, alpha, array = kind
    return not pictures.misfit(pictures.PictureInfo((1, 1), own, "uint8", alpha, array), channels, None)


def _most(counts: Mapping[Value, int]) -> tuple[Value, Value | None]:
    """Return the value that counts most, and another one that counts as much."""
    best, *others = sorted(counts, key=lambda value: (-counts[value], value))
    return best, others[0] if others and counts[others[0]] == counts[best] else None


def converted(
    infos: Collection[pictures.PictureInfo],
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
    kept = [pictures.keeps_alpha(info, channels) for info in infos]
    colours = [channels - keeps for keeps in kept]
    depth = "of 16 bits" if files.bits == 16 else f"of {files.bits} bits in 16-bit files"
    first = [info.shape != () and info.size == info.shape[1:] for info in infos]
    counts = {
        "grey, given three equal channels": sum(
            info.channels == 1 and num == 3 for info, num in zip(infos, colours, strict=True)
        ),
        "in colour, made grey": sum(info.channels == 3 and num == 1 for info, num in zip(infos, colours, strict=True)),
        f"transparent or flagged as alpha, laid on white (dataset.channels={with_alpha} keeps it as a band)": sum(
            info.alpha and not keeps for info, keeps in zip(infos, kept, strict=True)
        ),
        "flagged as alpha, taken as a band": sum(kept),
        f"{depth}, scaled to 8 by {files.most:,}": sum(info.dtype == "uint16" and dtype == "uint8" for info in infos),
        f"{depth}, whose range is 0 to {files.most:,}": sum(
            info.dtype == "uint16" and dtype == "uint16" and files.bits < 16 for info in infos
        ),
        "naming a nodata value, whose cells are missing (dataset.nodata=none keeps them)": sum(
            info.nodata is not None and files.nodata != "none" for info in infos
        ),
        "of 8 bits, scaled to 16": sum(info.dtype == "uint8" and dtype == "uint16" for info in infos),
        "of float values, of which NaN are missing cells": sum(info.dtype == "float32" and missing for info in infos),
        "arrays, read as channels, height, width": sum(first) if npy_layout == "auto" else 0,
        "arrays, read as height, width, channels": sum(
            info.shape != () and not which and npy_layout == "auto" for info, which in zip(infos, first, strict=True)
        ),
        "in colour of more than 8 bits, read at the upper 8": sum(info.upper_bits for info in infos),
        "the first of several pictures in its file": sum(info.frames for info in infos),
        "one of several pages of a TIFF (dataset.tiff_pages=channels takes them for channels)": sum(
            info.pages for info in infos
        ),
        "in a TIFF behind a thumbnail, which is passed over": sum(info.thumbnail for info in infos),
        "with white as 0 (MINISWHITE), turned around": sum(info.inverted for info in infos),
    }
    return {what: num for what, num in counts.items() if num}
