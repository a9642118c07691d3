"""Which channels and dtype the pictures of shards are brought to, by the kinds of headers that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from maecli.api import pictures

Counted = Mapping[pictures.PictureInfo, int]
"""Each kind of header, and how many pictures have it."""
Value = TypeVar("Value", int, str)


def agree(counted: Counted, channels: int | None, dtype: str | None) -> tuple[int, str]:
    """Return channels and dtype: those given, else 3 channels where a picture is in colour, and what most have."""
    if channels is None:
        colour = any(info.channels == 3 and not info.array for info in counted)
        channels = 3 if colour else _most((info.channels, num) for info, num in counted.items())
    if dtype is None:
        depths = {info.dtype for info in counted}
        joined = "uint8" if "uint8" in depths else "uint16"  # which can become each other
        names = ((joined if info.dtype in ("uint8", "uint16") else info.dtype, num) for info, num in counted.items())
        dtype = _most(names)
    return channels, dtype


def _most(values: Iterable[tuple[Value, int]]) -> Value:
    """Return the value that counts most; of equal ones the first."""
    counts: Counter[Value] = Counter()
    for value, num in values:
        counts[value] += num
    return min(counts, key=lambda value: (-counts[value], value))


def converted(counted: Counted, channels: int, dtype: str) -> dict[str, int]:
    """Return how many pictures are changed by what it takes to make all of them alike."""
    changes: Counter[str] = Counter()
    for info, num in counted.items():
        keeps = pictures.keeps_alpha(info, channels)
        colours = channels - keeps
        for what, holds in {
            "grey, given three equal channels": info.channels == 1 and colours == 3,
            "in colour, made grey": info.channels == 3 and colours == 1,
            "transparent or flagged as alpha, laid on white": info.alpha and not keeps,
            "of 16 bits, scaled to 8": info.dtype == "uint16" and dtype == "uint8",
            "of 8 bits, scaled to 16": info.dtype == "uint8" and dtype == "uint16",
            "in colour of more than 8 bits, read at the upper 8": info.upper_bits,
            "the first of several pictures in its file": info.frames,
        }.items():
            changes[what] += num * holds
    return {what: num for what, num in changes.items() if num}
