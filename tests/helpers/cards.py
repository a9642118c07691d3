"""Cards of data sets that are nowhere, for what is asked of a card alone."""

from __future__ import annotations

from typing import Any

from maecli.data.card import DataCard


def card(**facts: Any) -> DataCard:
    """Return a card of float32 samples of any size, of one channel and otherwise of these facts."""
    channels = facts.setdefault("channels", 1)
    basics = {"name": "tiny", "title": "tiny", "fields": ("image",), "size": None, "dtype": "float32"}
    statistics = {"mean": (0.0,) * channels, "std": (1.0,) * channels}
    return DataCard(**{**basics, **statistics, "split_sizes": {"train": 1}, "split_origin": "all", **facts})
