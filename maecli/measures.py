"""Measures that several tasks share."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

BLOCK_CELLS = 4_000_000
"""How many counts of a bootstrap are held at once."""


def ssim_map(x: Tensor, y: Tensor, sigma: float = 1.5) -> Tensor:
    """Return the structural similarity (B, C, H, W) of pictures x and y in [0, 1], at every pixel.

    Gaussian windows of 11 pixels at sigma 1.5, reflected at the border; K1 = 0.01, K2 = 0.03.
    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13.
    Raises ValueError for pictures narrower than 6 pixels, which the window does not fit.
    """
    radius = int(3.5 * sigma + 0.5)
    if min(x.shape[-2:]) <= radius:
        raise ValueError(f"SSIM needs pictures of more than {radius} pixels a side, not {tuple(x.shape[-2:])}")
    # Variances are small differences of large numbers: bfloat16 and TF32 would leave nothing of them.
    precise = torch.float64 if x.device.type == "cuda" else torch.float32
    with torch.autocast(x.device.type, enabled=False):
        x, y = x.to(precise), y.to(precise)
        down, across = (_blur_matrix(length, sigma, radius).to(x) for length in x.shape[-2:])

        def blur(picture: Tensor) -> Tensor:
            return down @ picture @ across.T

        mean_x, mean_y = blur(x), blur(y)
        var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return similarity.to(torch.float32)


def _blur_matrix(length: int, sigma: float, radius: int) -> Tensor:
    """Return the matrix (length, length) that blurs a line by a Gaussian, reflected at both ends.

    As a product it is many times as fast as a convolution with one channel.
    """
    offsets = torch.arange(-radius, radius + 1)
    window = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    source = (torch.arange(length).unsqueeze(1) + offsets).abs()  # (length, 2 * radius + 1)
    source = torch.where(source < length, source, 2 * (length - 1) - source)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, source, (window / window.sum()).expand(length, -1))


def wilson_interval(hits: int, num: int) -> tuple[float, float]:
    """Return the 95% interval of a share, hits / num, by Wilson's score."""
    from scipy.stats import binomtest  # type: ignore[import-untyped]  # slow to import, and only needed here

    interval = binomtest(hits, num).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def average_precision(scores: np.ndarray, truth: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Return the average precision () of ranking samples by their scores (N,), the highest first.

    It is the area under the curve of precision over recall after each precision was raised to the highest one at the
    same or a higher recall. `truth` (N,) is 1 for positives, 0 for negatives, -1 for samples that are left out.
    Samples of one score come together, so that their order does not matter, and one score for all gives exactly the
    share of positives; the devkit, of which everything else is taken, ranks them in the order of their file. With
    `times` (N, R) each sample counts that often, and R areas are returned. NaN where nothing is positive.
    Source: VOC 2010 development kit, section 3.4.1, "Average Precision (AP)".
    """
    judged = np.flatnonzero(truth >= 0)
    order = judged[np.argsort(-scores[judged], kind="stable")]
    counts = np.ones((len(scores), 1), np.float32) if times is None else times
    ranked, hit = scores[order], truth[order] == 1
    last = np.append(ranked[1:] != ranked[:-1], True)[: len(order)]  # of its score
    level = np.cumsum(last) - last  # (N,) how many higher scores there are
    levels = np.unique(level[hit])  # recall grows at these alone
    if not len(levels):
        return np.full(counts.shape[1] if times is not None else (), np.nan)
    stops = np.searchsorted(level, levels, side="right")
    seen = np.add.reduceat(counts[order[: stops[-1]]], np.append(0, stops[:-1]), axis=0).cumsum(0, np.float64)
    hits = np.add.reduceat(counts[order[hit]], np.searchsorted(level[hit], levels), axis=0).astype(np.float64)
    found = hits.cumsum(0)  # (levels, R)
    precision = np.maximum.accumulate((found / np.maximum(seen, 1.0))[::-1])[::-1]
    area = np.divide((hits * precision).sum(0), found[-1], out=np.full(len(found[-1]), np.nan), where=found[-1] > 0)
    return area if times is not None else area[0]


def bootstrap_counts(num: int, resamples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield blocks (num, r) float32 of how often each of `num` samples is drawn, with replacement, `num` times.

    There are `resamples` columns in all, a function of the seed alone.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, max(1, BLOCK_CELLS // num)):
        width = min(max(1, BLOCK_CELLS // num), resamples - start)
        cells = generator.integers(0, num, (width, num)) * width + np.arange(width)[:, None]
        yield np.bincount(cells.ravel(), minlength=num * width).reshape(num, width).astype(np.float32)


def mean_precision_interval(scores: np.ndarray, truth: np.ndarray, resamples: int = 1000) -> tuple[float, float]:
    """Return the 95% interval of the mean over classes of the average precision: 1.96 standard errors either way.

    Takes scores and truth (N, Q) as `average_precision` does. The standard error is that of a bootstrap over samples,
    whose seed is fixed; a class that a resample has no positive of is left out of its mean. The quantiles of the
    resamples would lie too high where a class has few positives: repeated, they find themselves among the first.
    NaN where no class has a positive. Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 6.
    """
    means = [np.empty(0)]
    for times in bootstrap_counts(len(scores), resamples) if len(scores) else ():
        areas = [average_precision(scores[:, q], truth[:, q], times) for q in range(scores.shape[1])]
        means.append(_mean_of_known(np.stack(areas)))
    drawn = np.concatenate(means)
    if not len(drawn):
        return math.nan, math.nan
    whole = np.stack([average_precision(scores[:, q], truth[:, q]) for q in range(scores.shape[1])])
    value, error = float(_mean_of_known(whole[:, None])[0]), float(drawn.std())
    return max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)


def _mean_of_known(areas: np.ndarray) -> np.ndarray:
    """Return the means over the first axis of (Q, R), without the columns where all are NaN."""
    known = ~np.isnan(areas)
    counted = known.sum(0)
    return np.where(known, areas, 0.0).sum(0)[counted > 0] / counted[counted > 0]


def random_precision(num_positive: int, num: int, rankings: int = 100) -> float:
    """Return the mean average precision of random rankings of `num` samples, of which `num_positive` are positive.

    It lies above the share of positives, the more so the fewer they are. The seed is fixed.
    """
    ranks = np.random.default_rng(0).permuted(np.tile(np.arange(1, num + 1), (rankings, 1)), axis=1)
    ranks = np.sort(ranks[:, :num_positive], axis=1)  # of the positives
    precision = np.arange(1, num_positive + 1) / ranks
    return float(np.maximum.accumulate(precision[:, ::-1], axis=1).mean())
