"""Numbers that several plugins take, their intervals, and the few samples by which they are shown."""

from maecli.data.statistics import channel_stats
from maecli.least import Least
from maecli.measures import bootstrap_interval, confusion, psnr, wilson_interval
from maecli.overlap import (
    RESAMPLES,
    class_iou,
    class_recall,
    constant_counts,
    overlap_counts,
    overlap_intervals,
    overlap_scores,
    resampled_scores,
)
from maecli.paired import paired_bootstrap, paired_shares
from maecli.training.class_weights import COUNTED, ClassWeights, class_weights, weights_on

__all__ = [
    "COUNTED",
    "RESAMPLES",
    "ClassWeights",
    "Least",
    "bootstrap_interval",
    "channel_stats",
    "class_iou",
    "class_recall",
    "class_weights",
    "confusion",
    "constant_counts",
    "overlap_counts",
    "overlap_intervals",
    "overlap_scores",
    "paired_bootstrap",
    "paired_shares",
    "psnr",
    "resampled_scores",
    "weights_on",
    "wilson_interval",
]
