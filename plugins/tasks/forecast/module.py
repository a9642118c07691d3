"""An encoder with a head that says what follows a window.

Shapes: B batch, C channels, L steps of a window, N patches, D embed_dim, Q columns to forecast, H steps of the horizon,
R quantiles, F features: the tokens of all patches of a window, or of each of its columns, with a shortcut also the
steps of the Q columns, and Q levels and scales.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
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
    Of others one head makes all columns of all channels. With a shortcut, one linear layer from a column's steps to
    its horizon, the same for all columns, is added.
    Source: PatchTST, arXiv:2211.14730, section 3.1 (flatten and linear head); the shortcut, TiDE, arXiv:2304.08424,
    section 4.2 (global residual connection).
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
        shortcut: bool = False,
    ) -> None:
        """Take which channels are forecast as `columns`."""
        super().__init__()
        self.encoder, self.norm = encoder, norm
        self.columns, self.horizon, self.num_quantiles = tuple(columns), horizon, num_quantiles
        self.num_inputs = math.prod(encoder.grid) * encoder.embed_dim
        num, steps = len(self.columns), encoder.img_size[-1]
        at_once, apart = (1, num) if encoder.per_channel else (num, 1)
        self.head = ForecastHead(self.num_inputs, encoder.embed_dim, at_once * horizon * num_quantiles, kind, dropout)
        self.shortcut = nn.Linear(steps, horizon * num_quantiles) if shortcut else None
        if self.shortcut is not None:
            nn.init.zeros_(self.shortcut.weight)
            nn.init.zeros_(self.shortcut.bias)
        self.widths = (apart * self.num_inputs, num * steps if shortcut else 0, num, num)
        """Of the features: tokens, steps, levels and scales."""

    def forward(self, x: Tensor | None = None, valid: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """Return forecasts (B, Q, H, R) float32 in the units of windows x (B, C, L), of cells that are `valid`.

        `features`, in place of x, is what `features_of` returned of it before.
        """
        if features is None:
            assert x is not None
            features = self.features_of(x, valid)
        num = len(self.columns)
        tokens, past, level, scale = torch.split(features, [*self.widths], dim=1)
        made = self.head(tokens.reshape(-1, self.num_inputs)).float()
        made = made.reshape(features.shape[0], num, self.horizon, self.num_quantiles)
        if self.shortcut is not None:
            made = made + self.shortcut(past.reshape(past.shape[0], num, -1)).float().reshape(made.shape)
        return made * scale[..., None, None] + level[..., None, None]

    def features_of(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return all (B, F) that the head and what follows it need of windows x (B, C, L), float32."""
        level, scale = api.nets.level_and_scale(x.float(), self.norm, valid)  # (B, C, 1)
        x, columns = (x - level) / scale, list(self.columns)
        past = [] if self.shortcut is None else [api.nets.zero_missing(x, valid)[:, columns].flatten(1)]
        if self.encoder.per_channel:
            x = api.nets.split_channels(x[:, columns])
            valid = None if valid is None else api.nets.split_channels(valid[:, columns])
        tokens = self.encoder(x, valid=valid)[:, self.encoder.num_prefix_tokens :]
        given_back = (level[:, columns, 0], scale[:, columns, 0])
        return torch.cat([tokens.float().reshape(level.shape[0], -1), *past, *given_back], dim=1)


def forecast_of(module: Forecaster, batch: api.Batch) -> Tensor:
    """Return forecasts (B, Q, H, R) of a batch of windows, or of features computed before."""
    if "features" in batch:
        made: Tensor = module(features=batch["features"])
    else:
        made = module(batch["image"], batch.tensors.get("valid"))
    return made
