"""Cells of pictures that hold nothing: those of the value that a header names for them, or a person.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from maecli.data.file_reading import NoData
from maecli.modalities.pictures.codecs.header import Nothing

GDAL_NODATA, MAX_SAMPLE_VALUE, BITS_PER_SAMPLE, PHOTOMETRIC = 42113, 281, 258, 262
"""TIFF tags."""
TAGS = GDAL_NODATA, MAX_SAMPLE_VALUE, BITS_PER_SAMPLE
MAX_CHARACTERS = 64


def nodata_in(text: object, dtype: np.dtype) -> float | None:
    """Return the number that the text of GDAL's tag names, NaN included.

    None for what is no number, or none that values of this dtype can be.
    """
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        return None
    word = text.rstrip("\0").strip().replace(",", ".")
    if word.lower().lstrip("+-") in ("nan", "1.#qnan", "1.#ind", "nan(ind)"):
        value = math.nan
    else:
        try:
            value = float(word)
        except ValueError:
            return None
    return held(value, dtype)


def held(value: float, dtype: np.dtype) -> float | None:
    """Return a value that numbers of this dtype can be, None for one that none of them is."""
    if dtype.kind == "f":
        return value
    least, most = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    return value if math.isfinite(value) and value == int(value) and least <= value <= most else None


def bits_in(tags: Mapping[int, Any]) -> int | None:
    """Return how many bits the values of a 16-bit TIFF have, where its tags say that these are fewer."""
    per_sample, most = (np.ravel(tags.get(tag) or 0).tolist() for tag in (BITS_PER_SAMPLE, MAX_SAMPLE_VALUE))
    bits = max(per_sample)
    if bits == 16 and 0 < max(most) < 2**16:
        bits = int(max(most)).bit_length()
    return bits if 8 <= bits < 16 else None


def is_nothing(pixels: np.ndarray, in_header: Nothing | None, nodata: NoData) -> np.ndarray | None:
    """Return which cells (C, H, W), or (1, H, W) for all channels, hold what stands for nothing; None where none does.

    NaN is left aside.
    """
    if nodata == "none" or (in_header is None and isinstance(nodata, str)):
        return None
    found = np.zeros((1, 1, 1), bool)
    if isinstance(in_header, tuple):
        found = (pixels == np.array(in_header)[:, None, None]).all(0, keepdims=True)
    elif in_header is not None and not math.isnan(in_header):
        found = _equal(pixels, in_header)
    if not isinstance(nodata, str) and held(nodata, pixels.dtype) is not None:
        found = found | _equal(pixels, nodata)
    return found if found.any() else None


def _equal(pixels: np.ndarray, value: float) -> np.ndarray:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite in the pixels, too
        return pixels == pixels.dtype.type(value)
