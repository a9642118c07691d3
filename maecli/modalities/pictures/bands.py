"""Large pictures a band of rows at a time, so that no step needs several copies of one, and averaged for statistics.

Shapes: C channels, H height, W width, h rows of a band.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

BAND = 2**24
"""Values of a band; a picture of no more is one band: 5.6 million pixels in colour."""

LARGE = 2**26
"""Values up to which a picture is used whole where only statistics are wanted: 22 million pixels in colour."""

AVERAGED = 2**24
"""Values that a larger one is averaged to."""


def bands(height: int, values_per_row: int, multiple: int = 1) -> Iterator[slice]:
    """Yield the rows of a picture, band by band; all but the last band have a multiple of `multiple` rows."""
    rows = max(1, BAND // (values_per_row * multiple)) * multiple
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def by_bands(change: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """Return `change(pixels)` of (C, H, W), where each row of the result depends on that row alone."""
    parts = bands(pixels.shape[1], len(pixels) * pixels.shape[2])
    first = next(parts)
    changed = change(pixels[:, first])
    if first.stop == pixels.shape[1]:
        return changed
    whole = np.empty((len(changed), *pixels.shape[1:]), changed.dtype)
    whole[:, first] = changed
    for rows in parts:
        whole[:, rows] = change(pixels[:, rows])
    return whole


def averaging(
    channels: int, size: tuple[int, int], at_least: int | None, large: int = LARGE, wanted: int = AVERAGED
) -> tuple[int, int]:
    """Return how many rows and columns become one where a picture (H, W) is wanted no smaller than `at_least`.

    Pictures of up to `large` values keep their size, and so does a side that is as short as that; others are brought
    to about the `wanted` ones.
    """
    height, width = size
    if at_least is None or channels * height * width <= large:
        return 1, 1
    surplus = channels * height * width / wanted
    most_rows, most_columns = max(1, height // at_least), max(1, width // at_least)
    columns = min(most_columns, math.ceil(math.sqrt(surplus)))
    rows = min(most_rows, math.ceil(surplus / columns))
    return rows, min(most_columns, math.ceil(surplus / rows))


def averaged(pixels: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """Return the means over blocks of rows × columns of (C, h, W), in its dtype; the last blocks may be smaller."""
    if factors == (1, 1):
        return pixels
    total: np.ndarray = pixels
    count = np.ones((1, 1))
    for axis, factor in enumerate(factors, 1):
        starts = np.arange(0, pixels.shape[axis], factor)
        total = np.add.reduceat(total, starts, axis, dtype=np.float64)
        lengths = np.diff(starts, append=pixels.shape[axis])
        count = count * (lengths[:, None] if axis == 1 else lengths)
    means = total / count
    return (means if pixels.dtype.kind == "f" else np.rint(means)).astype(pixels.dtype)


def collected(
    read: Callable[[slice], np.ndarray], channels: int, size: tuple[int, int], factors: tuple[int, int]
) -> np.ndarray:
    """Return a picture whose rows `read` gives as (C, h, W), averaged by `factors`."""
    height, width = size
    parts = bands(height, channels * width, factors[0])
    first = next(parts)
    top = averaged(read(first), factors)
    if first.stop == height:
        return top
    whole = np.empty((len(top), -(-height // factors[0]), top.shape[2]), top.dtype)
    whole[:, : top.shape[1]] = top
    for rows in parts:
        whole[:, rows.start // factors[0] : -(-rows.stop // factors[0])] = averaged(read(rows), factors)
    return whole
