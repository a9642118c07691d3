"""Numbers that several tasks take.

Shapes: Q classes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

CELLS_AT_ONCE = 1 << 22
"""Of a large mask, how many are counted at a time."""


def confusion(truth: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """Return the counts (Q, Q) int64, rows true and columns predicted, of class numbers of one shape.

    Those whose true class is not one of the `num_classes` (void pixels) are left out. Nothing waits for the device.
    """
    num = num_classes**2
    dtype = torch.int32 if num < 1 << 31 else torch.int64
    matrix = torch.zeros(num, dtype=torch.int64, device=truth.device)
    parts = (torch.split(numbers.flatten(), CELLS_AT_ONCE) for numbers in (truth, predicted))
    for true, guess in zip(*parts, strict=True):
        cells = true.to(dtype) * num_classes + guess.to(dtype)
        matrix += _counts(cells.where((true >= 0) & (true < num_classes), num), num + 1)[:num]
    return matrix.reshape(num_classes, num_classes)


def _counts(numbers: Tensor, num: int) -> Tensor:
    """Return how often each of the numbers 0 to `num` - 1 occurs, (num,) int64."""
    if numbers.device.type == "cpu":
        return torch.bincount(numbers, minlength=num)
    ids = numbers.long()  # bincount would wait for CUDA, to learn the highest number
    return torch.zeros(num, dtype=torch.int64, device=ids.device).scatter_add_(0, ids, torch.ones_like(ids))


def wilson_interval(hits: int, num: int) -> tuple[float, float]:
    """Return the 95% interval of a share, hits / num, by Wilson's score."""
    from scipy.stats import binomtest  # type: ignore[import-untyped]  # slow to import, and only needed here

    interval = binomtest(hits, num).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(value: float, resampled: np.ndarray, most: float = 1.0) -> tuple[float, float]:
    """Return the 95% interval of a share: 1.96 standard errors either way, that of its values (R,) in resamples.

    An error, which is at least 0 as well, may have no upper bound: `most` is then infinite.

    Quantiles of the resamples would lie too high where a class is rare: it is hard, and often not drawn, or its
    positives find themselves among the first. Source: Efron and Tibshirani 1993, "An introduction to the bootstrap",
    chapter 6.
    """
    reach = 1.96 * float(resampled.std())
    return max(0.0, value - reach), min(most, value + reach)


def psnr(mse: float) -> float:
    """Return the peak signal-to-noise ratio, in dB, of a mean squared error of pixels in [0, 1]."""
    return -10 * math.log10(max(mse, 1e-12))
