"""Mean and deviation of each channel, over the cells that exist; how often each number stands in an array.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import ValueRange, ends_of

PART = 2**24
"""Values that are taken at once."""
CHUNK = 2**22
"""Numbers that are counted at a time: numpy makes a copy of eight bytes each."""


def channel_stats(
    images: Iterable[np.ndarray], value_range: ValueRange, axes: int = 2
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel, in units of [0, 1], of samples or batches of them.

    Takes arrays (C, *S), or batches (B, C, *S), of so many spatial `axes`; NaN is a cell that is missing. Each sample
    counts the same, whatever its size, as it will once all are brought to one; one without a single cell of a channel
    counts for the others only. A channel that never varies gets the deviation 1, so that it can be divided by.
    """
    lows, highs = (np.array(ends) for ends in ends_of(value_range))
    first, second, count = np.zeros(1), np.zeros(1), np.zeros(1)
    for image in images:
        if image.ndim not in (axes + 1, axes + 2):
            raise ValueError(f"an array of shape {image.shape} is neither a sample of {axes} axes nor a batch of them")
        batch = image.reshape(-1 if image.ndim == axes + 2 else 1, image.shape[-1 - axes], np.prod(image.shape[-axes:]))
        sums, squares, cells = (np.zeros(batch.shape[:2]) for _ in range(3))
        for part in _parts(batch):
            values = (part - lows[:, None]) / (highs - lows)[:, None]  # float64
            there = ~np.isnan(values)
            values = np.where(there, values, 0.0)
            sums += values.sum(2)
            squares += (values * values).sum(2)
            cells += there.sum(2)
        first = first + (sums / np.maximum(cells, 1)).sum(0)
        second = second + (squares / np.maximum(cells, 1)).sum(0)
        count = count + (cells > 0).sum(0)
    if not count.any():
        raise ValueError("no samples to take the mean of")
    mean = first / np.maximum(count, 1)
    std = np.sqrt(np.maximum(second / np.maximum(count, 1) - mean**2, 0.0))
    return tuple(mean.tolist()), tuple(np.where(std > 1e-6, std, 1.0).tolist())


def _parts(batch: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a batch (B, C, N), as float64, some of the cells of each channel at a time."""
    step = max(1, PART // max(1, batch[:, :, 0].size))
    for start in range(0, batch.shape[2], step):
        yield batch[:, :, start : start + step].astype(np.float64)


def cell_counts(numbers: NDArray[np.integer], num: int) -> NDArray[np.int64]:
    """Return how often each of 0 to `num` - 1 stands in (*S); others are not counted."""
    counts, flat = np.zeros(num, np.int64), numbers.ravel()
    for start in range(0, len(flat), CHUNK):
        part = flat[start : start + CHUNK]
        counts += np.bincount(part[(part >= 0) & (part < num)], minlength=num)
    return counts
