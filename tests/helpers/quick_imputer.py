"""An imputer that is fitted in a moment, and tells little."""

from __future__ import annotations

from typing import Any

from maecli import MAEImputer

SMALL = {
    "model.embed_dim": 16,
    "model.depth": 1,
    "model.num_heads": 2,
    "task.decoder_embed_dim": 16,
    "task.decoder_depth": 1,
    "task.decoder_num_heads": 2,
}


def quick(**options: Any) -> MAEImputer:
    """Return an imputer of one epoch and few weights."""
    options = {"settings": SMALL, "epochs": 1, "random_state": 0, **options}
    return MAEImputer(**options)
