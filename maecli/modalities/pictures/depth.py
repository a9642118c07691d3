"""How many bits the values of 16-bit files have: cameras and microscopes write 10, 12 or 14 bits into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from maecli.data.file_reading import FULL_BITS
from maecli.data.splits import place
from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.read import Reading, read_image

NUM_MEASURED = 64
DEPTHS = (8, 10, 12, 14, FULL_BITS)
"""Bits that are taken for those of a set, by the greatest value found."""


def measured_bits(root: Path, headers: Mapping[str, PictureInfo], how: Reading) -> int:
    """Return the bits that the 16-bit pictures among these use: what their headers say, and what their pixels reach.

    Up to 64 of them are decoded, chosen by the fixed seed. 16 where there are none.
    """
    deep = [key for key, header in headers.items() if header.dtype == "uint16"]
    how = replace(how, channels=None, dtype=None, missing=True)
    greatest = [_greatest(root / key, how) for key in sorted(deep, key=place)[:NUM_MEASURED]]
    found = [value for value in greatest if value is not None]
    if not found:
        return FULL_BITS
    measured = next(bits for bits in DEPTHS if max(found) < 2**bits)
    return max(measured, *(headers[key].bits or 0 for key in deep))


def _greatest(path: Path, how: Reading) -> int | None:
    """Return the greatest value of a picture; None where it cannot be read, or has none."""
    try:
        pixels = read_image(path, how)
    except BrokenSample:
        return None
    if pixels.dtype.kind == "f":
        pixels = pixels[~np.isnan(pixels)]
    return int(pixels.max()) if pixels.size else None
