"""Average precision of rankings and of their resamples, and what random rankings get.

Shapes: N samples, Q classes, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_CELLS = 4_000_000
"""How many counts of a bootstrap are held at once."""


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
    ranked_above = np.add.reduceat(counts[order[: stops[-1]]], np.append(0, stops[:-1]), axis=0).cumsum(0, np.float64)
    hits = np.add.reduceat(counts[order[hit]], np.searchsorted(level[hit], levels), axis=0).astype(np.float64)
    total = hits.cumsum(0)  # (levels, R)
    precision = np.maximum.accumulate((total / np.maximum(ranked_above, 1.0))[::-1])[::-1]
    area = np.divide((hits * precision).sum(0), total[-1], out=np.full(len(total[-1]), np.nan), where=total[-1] > 0)
    return area if times is not None else area[0]


def mean_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of the average precisions of the classes that have a positive, from scores and truth (N, Q)."""
    areas = [average_precision(*column) for column in zip(scores.T, truth.T, strict=True)]
    return float(np.nanmean(areas))


def bootstrap_counts(num: int, resamples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield blocks (num, r) float32 of how often each of `num` samples is drawn, with replacement, `num` times.

    There are `resamples` columns in all, a function of the seed alone.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, max(1, BLOCK_CELLS // num)):
        width = min(max(1, BLOCK_CELLS // num), resamples - start)
        cells = generator.integers(0, num, (width, num)) * width + np.arange(width)[:, None]
        yield np.bincount(cells.ravel(), minlength=num * width).reshape(num, width).astype(np.float32)


def resampled_means(scores: np.ndarray, truth: np.ndarray, resamples: int = 1000) -> np.ndarray:
    """Return the mean over classes of the average precision in each resample (R,) of a bootstrap over samples.

    Takes scores and truth (N, Q) as `average_precision` does. The seed is fixed. A class that a resample has no
    positive of is left out of its mean, and a resample without any positive altogether.
    """
    means = []
    for times in bootstrap_counts(len(scores), resamples):
        areas = np.stack(
            [average_precision(*column, times) for column in zip(scores.T, truth.T, strict=True)]
        )  # (Q, r)
        means.append(np.nanmean(areas[:, ~np.isnan(areas).all(0)], axis=0))
    return np.concatenate(means)


def random_precision(num_positive: int, num: int, rankings: int = 100) -> float:
    """Return the mean average precision of random rankings of `num` samples, of which `num_positive` are positive.

    It lies above the share of positives, the more so the fewer they are. The seed is fixed.
    """
    ranks = np.random.default_rng(0).permuted(np.tile(np.arange(1, num + 1), (rankings, 1)), axis=1)
    ranks = np.sort(ranks[:, :num_positive], axis=1)  # of the positives
    precision = np.arange(1, num_positive + 1) / ranks
    return float(np.maximum.accumulate(precision[:, ::-1], axis=1).mean())
