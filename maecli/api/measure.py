"""Numbers that several plugins take, and their intervals."""

from maecli.data.statistics import channel_stats
from maecli.measures import bootstrap_interval, confusion, psnr, wilson_interval
from maecli.paired import paired_bootstrap, paired_shares
from maecli.training.class_weights import COUNTED, ClassWeights, class_weights, weights_on

__all__ = [
    "COUNTED",
    "ClassWeights",
    "bootstrap_interval",
    "channel_stats",
    "class_weights",
    "confusion",
    "paired_bootstrap",
    "paired_shares",
    "psnr",
    "weights_on",
    "wilson_interval",
]
