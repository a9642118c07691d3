"""How well predicted masks overlap true ones: from counts per class to shares, and their intervals.

Counts are int64 (…, 3, Q): for each class the pixels that were hit, those that are truly of it, and those that were
predicted as it. All scores follow from them, so that they add up over pictures.

Shapes: H, W height and width, Q classes, K pictures, R resamples.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from maecli.measures import bootstrap_interval

RESAMPLES = 1000


def overlap_counts(matrix: Tensor) -> Tensor:
    """Return the counts (…, 3, Q) of confusion matrices (…, Q, Q), where these lie."""
    return torch.stack([matrix.diagonal(dim1=-2, dim2=-1), matrix.sum(-1), matrix.sum(-2)], dim=-2)


def constant_counts(counts: np.ndarray, always: int) -> np.ndarray:
    """Return the counts (3, Q) that a predictor of one class everywhere has on the same pictures."""
    truth = counts[1]
    only = np.arange(len(truth)) == always
    return np.stack([truth * only, truth, truth.sum() * only])


def class_iou(counts: np.ndarray) -> np.ndarray:
    """Return the intersection over union (…, Q) of each class; 0 for one that neither occurs nor is predicted."""
    hits, truth, predicted = np.moveaxis(counts, -2, 0)
    return np.asarray(hits / np.maximum(truth + predicted - hits, 1))


def class_recall(counts: np.ndarray) -> np.ndarray:
    """Return the share (…, Q) of each class's pixels that were hit; 0 for a class that does not occur."""
    hits, truth, _ = np.moveaxis(counts, -2, 0)
    return np.asarray(hits / np.maximum(truth, 1))


def overlap_scores(counts: np.ndarray, background: int | None) -> dict[str, np.ndarray]:
    """Return the scores (…) of counts (…, 3, Q): means are over the classes that truly occur.

    `miou`, `pixel_accuracy`, `mean_class_accuracy`, and with a background class `foreground_iou`: that of all other
    classes taken as one. Source: FCN, arXiv:1411.4038, section 5, "Metrics".
    """
    hits, truth, predicted = np.moveaxis(counts, -2, 0)
    occurs = truth > 0
    num = np.maximum(occurs.sum(-1), 1)
    total = truth.sum(-1)
    scores = {"miou": (class_iou(counts) * occurs).sum(-1) / num}
    if background is not None:
        union = total - hits[..., background]
        both = total - truth[..., background] - predicted[..., background] + hits[..., background]
        scores["foreground_iou"] = both / np.maximum(union, 1)
    scores["pixel_accuracy"] = hits.sum(-1) / np.maximum(total, 1)
    scores["mean_class_accuracy"] = (class_recall(counts) * occurs).sum(-1) / num
    return scores


def resampled_scores(pictures: np.ndarray, background: int | None) -> dict[str, np.ndarray]:
    """Return each score in resamples (R,) of whole pictures, from counts (K, 3, Q) of pictures.

    A resample's means are over the classes that occur in it. The seed is fixed: of as many pictures the same are drawn.
    """
    K = len(pictures)
    generator = np.random.default_rng(0)
    flat = pictures.reshape(K, -1).astype(np.float64)  # sums of pixels stay exact below 2**53
    sums = [generator.multinomial(K, np.full(K, 1 / K)) @ flat for _ in range(RESAMPLES)]
    return overlap_scores(np.stack(sums).reshape(RESAMPLES, *pictures.shape[1:]), background)


def overlap_intervals(pictures: np.ndarray, background: int | None) -> dict[str, tuple[float, float]]:
    """Return the 95% interval of each score, by resampling whole pictures; empty for fewer than two pictures."""
    if len(pictures) < 2:
        return {}
    whole = overlap_scores(pictures.sum(0), background)
    resampled = resampled_scores(pictures, background)
    return {name: bootstrap_interval(float(whole[name]), drawn) for name, drawn in resampled.items()}
