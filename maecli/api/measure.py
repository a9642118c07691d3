"""Numbers that several plugins take, and their intervals."""

from maecli.data.statistics import channel_stats
from maecli.measures import bootstrap_interval, confusion, psnr, wilson_interval
from maecli.paired import paired_bootstrap, paired_shares

__all__ = [
    "bootstrap_interval",
    "channel_stats",
    "confusion",
    "paired_bootstrap",
    "paired_shares",
    "psnr",
    "wilson_interval",
]
