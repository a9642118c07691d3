"""Numbers that several tasks take, and their intervals."""

from maecli.measures import bootstrap_interval, confusion, psnr, wilson_interval

__all__ = ["bootstrap_interval", "confusion", "psnr", "wilson_interval"]
