"""A vision transformer of rows: each cell is a token, made of its value by weights of its own.

Shapes: B batch, C channels, F cells of a row, P what is known of a cell's value, D embed_dim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maecli import api

from .vit import Positive, ViT

NUM_WAVES = 24
SPREAD = 0.3
"""Deviation of their frequencies in the beginning, in waves per deviation of the column near its mean."""


class CellEmbed(nn.Module):
    """Cells (B, F, C) to tokens (B, F, D): a number also by its asinh, in which long tails are short, and waves of it.

    A linear layer from the number alone would leave to the blocks all that is not linear in it.
    Source: weights for each column, arXiv:2106.11959, section 3.1, and periodic features of learnt frequencies,
    arXiv:2203.05556, section 3.3, there of the number itself.
    """

    def __init__(self, num_cells: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        num_features = 2 + 2 * NUM_WAVES
        self.frequencies = nn.Parameter(SPREAD * torch.randn(1, num_cells, NUM_WAVES))
        self.weight = nn.Parameter(torch.randn(1, num_cells, num_features, embed_dim) / math.sqrt(num_features))
        self.bias = nn.Parameter(torch.zeros(1, num_cells, embed_dim))
        self.categories = nn.Parameter(0.2 * torch.randn(1, num_cells, in_chans - 1, embed_dim))

    def forward(self, cells: Tensor) -> Tensor:
        place = cells[..., :1].asinh()
        waves = 2 * math.pi * self.frequencies * place
        known = torch.cat([cells[..., :1], place, waves.sin(), waves.cos()], -1)  # (B, F, P)
        tokens = (torch.einsum("bfp,fpd->bfd", known, self.weight[0]) + self.bias).relu()
        return tokens + torch.einsum("bfc,fcd->bfd", cells[..., 1:], self.categories[0])


class RowTransformer(api.nets.VisionTransformer):
    """A vision transformer whose tokens are cells, each embedded by weights of its own."""

    by_cell = ("pos_embed", *(f"patch_embed.{name}" for name in ("frequencies", "weight", "bias", "categories")))

    def __init__(self, img_size: Sequence[int], patch_size: Sequence[int], in_chans: int, **settings: Any) -> None:
        super().__init__(img_size, patch_size, in_chans, **settings)
        self.patch_embed = CellEmbed(math.prod(self.grid), in_chans, self.embed_dim)

    def embed(self, x: Tensor, ids_keep: Tensor | None, present: Tensor | None = None) -> Tensor:
        tokens = self.patch_embed(api.nets.patchify(x, self.patch_size)) + self.pos_embed
        return self._with_prefix_tokens(tokens if ids_keep is None else api.nets.take(tokens, ids_keep))


class RowViT(ViT):
    """64 × 2 for rows of a table: minutes on two CPU cores."""

    name = "row-vit"
    num_axes = 1
    decoder = (64, 1, 2)
    encoder = RowTransformer

    class Options(ViT.Options):
        patch_size: Positive | tuple[Positive, ...] = 1
        embed_dim: Positive = 64
        depth: Positive = 2
        num_heads: Positive = 2
        mlp_ratio: float = 2.0
        learned_pos_embed: bool = True

    def build(self, in_chans: int, img_size: tuple[int, ...]) -> api.Encoder:
        if len(img_size) != 1 or self.options.patch_size not in (1, (1,)) or self.options.per_channel:
            raise ValueError(
                "row-vit makes a token of each cell of a row; for other samples or patches give --model vit"
            )
        return super().build(in_chans, img_size)


@api.hookimpl
def mae_models() -> list[type[api.Model]]:
    return [RowViT]
