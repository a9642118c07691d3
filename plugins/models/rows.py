"""A model of rows to compare with: a perceptron on all cells at once, joined with which of them are there.

It leaves nothing out, and a missing cell is 0 and a mark that it is. It gives one token of a whole row.

Shapes: B batch, C channels, S spatial axes, P values of a sample, D embed_dim.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from maecli import api

Positive = Annotated[int, Field(ge=1)]


class RowEncoder(api.Encoder):
    """Linear layers with GELU between them, from values and marks (B, 2P) to one token (B, 1, D)."""

    num_prefix_tokens = 0
    can_mask = False

    def __init__(self, in_chans: int, img_size: Sequence[int], embed_dim: int, depth: int) -> None:
        super().__init__()
        self.in_chans, self.embed_dim, self.depth = in_chans, embed_dim, depth
        self.img_size = self.patch_size = tuple(img_size)
        num = 2 * in_chans * math.prod(img_size)
        self.layers = nn.ModuleList(nn.Linear(embed_dim if layer else num, embed_dim) for layer in range(depth))
        self.act, self.norm = nn.GELU(), nn.LayerNorm(embed_dim)
        self.apply(api.nets.init_weights)

    def _states(self, x: Tensor, valid: Tensor | None) -> list[Tensor]:
        """Return what x (B, C, *S) is after each layer (B, D), the last one normalised."""
        there = torch.ones_like(x) if valid is None else valid.to(x.dtype)
        state, states = torch.cat([api.nets.zero_missing(x, valid), there], 1).flatten(1), []
        for layer in self.layers:
            state = self.act(layer(state))
            states.append(state)
        return [*states[:-1], self.norm(states[-1])]

    def forward(self, x: Tensor, ids_keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Return tokens (B, 1, D). Raises ValueError for `ids_keep`."""
        if ids_keep is not None:
            raise ValueError("this model reads whole rows: no cell can be left out")
        return self._states(x, valid)[-1].unsqueeze(1)

    def features(self, x: Tensor, depths: Sequence[int], valid: Tensor | None = None) -> list[Tensor]:
        """Return maps (B, D, 1, …) after the given layers."""
        states = self._states(x, valid)
        return [states[depth - 1].reshape(x.shape[0], -1, *[1] * len(self.img_size)) for depth in depths]

    def present(self, valid: Tensor | None, ids_keep: Tensor | None = None) -> None:
        """The one token always stands for something."""

    def layer_of(self, name: str) -> int:
        if match := re.match(r"layers\.(\d+)\.", name):
            return int(match[1]) + 1
        return self.depth + 1


class RowMLP(api.Model):
    """A perceptron on the cells of a row joined with their mask, as imputers by autoencoding are often built."""

    name = "row-mlp"
    can_mask = False
    concessions: ClassVar[Mapping[str, Any]] = {"train.layer_decay": 1.0}

    class Options(api.ModelOptions):
        embed_dim: Positive = Field(default=256, description="width of the layers")
        depth: Positive = Field(default=3, description="number of layers")

    def build(self, in_chans: int, img_size: tuple[int, ...]) -> RowEncoder:
        return RowEncoder(in_chans, img_size, self.options.embed_dim, self.options.depth)


@api.hookimpl
def mae_models() -> list[type[api.Model]]:
    return [RowMLP]
