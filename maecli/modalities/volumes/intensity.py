"""What the values of volumes mean: Hounsfield units are cut to a window, others are set in relation to their volume.

Shapes: C channels, D, H, W a volume's size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maecli.data.volume_reading import SPREAD, VolumeReading

SOFT_TISSUE = (-175.0, 250.0)
"""HU between which abdominal organs lie: the window of UNETR, arXiv:2103.10504, for BTCV."""
AIR, BODY = -700, (-200, 300)
"""HU below which is air or lung, and between which lies most of a body."""
LEAST = -4096
"""HU below which no scanner goes."""
SHARE = 0.02
"""Of the voxels that are air, and that are body, at least, in a CT."""
STEP = 7
"""Of so many voxels one is looked at, where all would tell the same."""
IQR = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""


def looks_like_hounsfield(values: np.ndarray) -> bool:
    """Whether values (C, D, H, W) are those of a CT: one channel with air about -1000 and a body about 0."""
    some = values.reshape(len(values), -1)[:, ::STEP]
    air, body = (some < AIR).mean(), ((some > BODY[0]) & (some < BODY[1])).mean()
    return len(values) == 1 and bool(air > SHARE and body > SHARE and not (some < LEAST).any())


def foreground(values: np.ndarray, reading: VolumeReading) -> NDArray[np.bool_]:
    """Return which voxels (D, H, W) of prepared values are body and not what lies around it.

    Those are above the lower end of the window, and without a window above the mean of their volume.
    """
    first = values[0]
    lowest = np.nanmean(first) if reading.window is None else reading.window[0]
    inside: NDArray[np.bool_] = first > lowest
    return inside


def in_range(values: np.ndarray, reading: VolumeReading) -> np.ndarray:
    """Return values (C, D, H, W) as a reading has them: cut to its window, or robust z-scores of each channel."""
    if reading.window is not None:
        return np.clip(values, *_ends(values.dtype, reading.window))
    return np.stack([robust_z_scores(channel) for channel in values])


def _ends(dtype: np.dtype, window: tuple[float, float]) -> tuple[float, float] | tuple[int, int]:
    """Return a window in the dtype of what it is laid on, so that integers stay such."""
    if dtype.kind not in "iu":
        return window
    limits = np.iinfo(dtype)
    return max(limits.min, int(np.ceil(window[0]))), min(limits.max, int(np.floor(window[1])))


def robust_z_scores(values: np.ndarray) -> NDArray[np.float32]:
    """Return how many standard deviations values (D, H, W) lie above the median of the body, cut off at SPREAD.

    The body is what is above the mean of all; its deviation is estimated by its quartiles, which a few bright voxels
    do not move. NaN stays.
    """
    numbers = values.astype(np.float32)
    known = numbers[~np.isnan(numbers)]
    body = known[known > known.mean(dtype=np.float64)] if known.size else known
    if not body.size:
        return np.where(np.isnan(numbers), numbers, np.float32(0))
    low, median, high = np.quantile(body, (0.25, 0.5, 0.75))
    deviation = (high - low) / IQR or float(body.std()) or 1.0
    return np.clip((numbers - np.float32(median)) / np.float32(deviation), -SPREAD, SPREAD)
