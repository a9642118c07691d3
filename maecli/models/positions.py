"""Sine-cosine positions of a grid with any number of axes, and their interpolation to another grid.

Shapes: N grid cells, D embed_dim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def sincos_pos_embed(grid: Sequence[int], embed_dim: int) -> Tensor:
    """Return fixed positions (N, D) float32 for a grid of any number of axes.

    Each axis takes an equal, even share of the dimensions, the last axis first (for images: column, then row);
    what does not divide stays zero. Within a share: sines, then cosines, of pos / 10000^(i / (share / 2)).
    Source: MAE, arXiv:2111.06377, section A.1; "Attention is all you need", arXiv:1706.03762, section 3.5.
    """
    half = embed_dim // (2 * len(grid))  # frequencies per axis
    if half == 0:
        raise ValueError(f"embed_dim ({embed_dim}) is too small for positions on {len(grid)} axes")
    omega = 1.0 / 10000 ** (torch.arange(half, dtype=torch.float64) / half)
    coordinates = torch.meshgrid(*(torch.arange(cells, dtype=torch.float64) for cells in grid), indexing="ij")
    parts = []
    for position in reversed(coordinates):
        angle = position.reshape(-1, 1) * omega  # (N, half)
        parts += [angle.sin(), angle.cos()]
    embed = torch.cat(parts, dim=1)
    return F.pad(embed, (0, embed_dim - embed.shape[1])).to(torch.float32)


def interpolate_pos_embed(pos_embed: Tensor, grid: Sequence[int], new_grid: Sequence[int]) -> Tensor:
    """Return positions (1, N', D) for `new_grid`, interpolated from (1, N, D) on `grid`.

    Bicubic on two axes, linear on one, trilinear on three; in every axis at once.
    """
    if tuple(grid) == tuple(new_grid):
        return pos_embed
    if len(grid) != len(new_grid):
        raise ValueError(f"cannot interpolate positions of {len(grid)} axes to {len(new_grid)}")
    mode = {1: "linear", 2: "bicubic", 3: "trilinear"}[len(grid)]
    D = pos_embed.shape[-1]
    field = pos_embed.reshape(1, *grid, D).movedim(-1, 1)  # (1, D, *grid)
    field = F.interpolate(field.float(), size=tuple(new_grid), mode=mode, align_corners=False)
    return field.movedim(1, -1).reshape(1, math.prod(new_grid), D).to(pos_embed.dtype)
