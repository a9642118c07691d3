"""Multi-head self-attention, computed in the way that is fastest where it runs.

Shapes: B batch, N tokens, D embed_dim, H heads, d = D / H.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from maecli.hardware import has_amx

SHORT = 512
"""Up to this many tokens the (N, N) matrix of a head is small enough to be written out."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q kᵀ / √d) v for q, k, v (B, H, N, d).

    On a CPU with AMX, whose matrix products are fast and whose fused kernel has a slow backward pass, short
    sequences use two products and a softmax; everything else uses the fused kernel.
    """
    if q.device.type == "cpu" and has_amx() and k.shape[-2] <= SHORT:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, H, N, N)
        return scores.softmax(dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for queries, keys and values."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim ({embed_dim}) must be a multiple of num_heads ({num_heads})")
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        B, N, D = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, D // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, N, d) each
        return self.proj(attend(q, k, v).transpose(1, 2).reshape(B, N, D))
