"""Forecasts that nobody has to learn.

Shapes: B batch, C channels, L steps of a window, Q columns to forecast, H steps of the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from maecli import api

PERSISTENCE, MEAN = "persistence", "mean of training"


def trivial_forecasts(
    x: Tensor, valid: Tensor | None, columns: Sequence[int], horizon: int, season: int | None
) -> dict[str, Tensor]:
    """Return forecasts (B, Q, H) by name, of standardised windows x (B, C, L).

    persistence: the last value goes on; seasonal-naive: the last season does, where a window holds one, and the last
    value where that has gaps; mean of training: 0, as the numbers are standardised by it.
    """
    x, valid = x[:, columns].float(), None if valid is None else valid[:, columns]
    last = api.nets.last_value(x, valid).expand(-1, -1, horizon)
    made = {PERSISTENCE: last, MEAN: torch.zeros_like(last)}
    if season is not None and 1 < season <= x.shape[-1]:
        places = x.shape[-1] - season + torch.arange(horizon, device=x.device) % season
        again = x[..., places]
        made[f"seasonal-naive ({season})"] = again if valid is None else torch.where(valid[..., places], again, last)
    return made
