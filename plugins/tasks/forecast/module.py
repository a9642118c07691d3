"""An encoder with a head that says what follows a window.

Shapes: B batch, C channels, L steps of a window, N patches, D embed_dim, Q columns to forecast, H steps of the horizon,
R quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from maecli import api

HeadKind = Literal["linear", "mlp"]


class ForecastHead(nn.Sequential):
    """Linear layer on all numbers, or a perceptron of one hidden layer; it begins by changing nothing."""

    def __init__(self, num_inputs: int, hidden: int, num_outputs: int, kind: HeadKind, dropout: float) -> None:
        first: list[nn.Module] = [nn.Linear(num_inputs, hidden), nn.GELU()] if kind == "mlp" else []
        last = nn.Linear(hidden if kind == "mlp" else num_inputs, num_outputs)
        super().__init__(*first, nn.Dropout(dropout), last)
        self.apply(api.nets.init_weights)
        nn.init.trunc_normal_(last.weight, std=2e-5)  # the level of the window is a better start than noise


class Forecaster(nn.Module):
    """The tokens of all patches of a window, side by side, through a head; the window less its level, given back after.

    An encoder that reads one channel at a time makes a forecast of each target column from its own past, by one head.
    Of others one head makes all columns of all channels.
    Source: PatchTST, arXiv:2211.14730, section 3.1 (flatten and linear head).
    """

    def __init__(
        self,
        encoder: api.Encoder,
        columns: Sequence[int],
        horizon: int,
        num_quantiles: int = 1,
        norm: api.nets.WindowNorm = "revin",
        kind: HeadKind = "linear",
        dropout: float = 0.0,
    ) -> None:
        """Take which channels are forecast as `columns`."""
        super().__init__()
        self.encoder, self.norm = encoder, norm
        self.columns, self.horizon, self.num_quantiles = tuple(columns), horizon, num_quantiles
        num_patches = math.prod(encoder.grid)
        at_once = 1 if encoder.per_channel else len(self.columns)
        num_outputs = at_once * horizon * num_quantiles
        self.head = ForecastHead(num_patches * encoder.embed_dim, encoder.embed_dim, num_outputs, kind, dropout)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return forecasts (B, Q, H, R) float32 in the units of windows x (B, C, L), of cells that are `valid`."""
        level, scale = api.nets.level_and_scale(x.float(), self.norm, valid)  # (B, C, 1)
        x, columns = (x - level) / scale, list(self.columns)
        if self.encoder.per_channel:
            x = api.nets.split_channels(x[:, columns])
            valid = None if valid is None else api.nets.split_channels(valid[:, columns])
        tokens = self.encoder(x, valid=valid)[:, self.encoder.num_prefix_tokens :]
        made = self.head(tokens.flatten(1)).float()
        made = made.reshape(len(level), len(columns), self.horizon, self.num_quantiles)
        return made * scale[:, columns, :, None] + level[:, columns, :, None]
