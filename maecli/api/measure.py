"""Numbers that several tasks take, and their intervals."""

from maecli.measures import average_precision, mean_precision_interval, random_precision, ssim_map, wilson_interval
from maecli.overlap import (
    RESAMPLES,
    confusion,
    constant_counts,
    iou,
    overlap_counts,
    overlap_intervals,
    overlap_scores,
    recall,
)

__all__ = [
    "RESAMPLES",
    "average_precision",
    "confusion",
    "constant_counts",
    "iou",
    "mean_precision_interval",
    "overlap_counts",
    "overlap_intervals",
    "overlap_scores",
    "random_precision",
    "recall",
    "ssim_map",
    "wilson_interval",
]
