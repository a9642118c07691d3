"""Rotary positions on a grid: queries and keys of a patch are turned by angles that follow from where it lies.

Source: arXiv:2104.09864, section 3.2; on pictures as in DINOv3, arXiv:2508.10104, without its jitter in training.

Shapes: B batch, N tokens, K patches among them, S spatial axes, D embed_dim, H heads, d = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def rotary_angles(grid: Sequence[int], head_dim: int, base: float, device: torch.device | None = None) -> Tensor:
    """Return the angles (1, N, d) float32 of a grid's patches, whose centres lie between -1 and 1 along each axis.

    Each axis has d / 2S frequencies, falling from 2π to nearly 2π / `base`; the second half of d repeats the first.
    Raises ValueError where d cannot be shared out like this.
    """
    divisor = 2 * len(grid)
    if head_dim % divisor:
        raise ValueError(f"rotary positions on {len(grid)} axes need heads whose width ({head_dim}) {divisor} divides")
    num = head_dim // divisor
    frequencies = 2 * math.pi / base ** (torch.arange(num, dtype=torch.float32, device=device) / num)
    centres = [(2 * torch.arange(cells, dtype=torch.float32, device=device) + 1) / cells - 1 for cells in grid]
    places = torch.stack(torch.meshgrid(*centres, indexing="ij"), dim=-1).reshape(-1, len(grid), 1)  # (N, S, 1)
    return (places * frequencies).flatten(1).tile(2).unsqueeze(0)


def turn(qkv: Tensor, angles: Tensor, num_heads: int) -> Tensor:
    """Return queries, keys and values (B, N, 3D), of the last K tokens the first two turned by angles (B or 1, K, d).

    Tokens before these, which have no place, stay as they are.
    """
    B, N, _ = qkv.shape
    num_prefix, head_dim = N - angles.shape[1], angles.shape[-1]
    heads = qkv.reshape(B, N, 3 * num_heads, head_dim)
    prefix, patches = heads[:, :num_prefix], heads[:, num_prefix:]
    turned, values = patches[:, :, : 2 * num_heads], patches[:, :, 2 * num_heads :]
    one, other = turned.chunk(2, dim=-1)
    angles = angles.unsqueeze(2)
    turned = turned * angles.cos() + torch.cat([-other, one], dim=-1) * angles.sin()
    patches = torch.cat([turned.to(qkv.dtype), values], dim=2)
    return torch.cat([prefix, patches], dim=1).reshape(B, N, -1)
