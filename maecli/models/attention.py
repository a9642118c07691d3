"""Multi-head self-attention, computed in the way that is fastest where it runs.

Shapes: B batch, N tokens, D embed_dim, H heads, d = D / H.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maecli.models.kernels import amx
from maecli.models.kernels.amx import Linear
from maecli.models.rotary import turn

SHORT = 512
"""Up to this many tokens the (N, N) matrix of a head is small enough to be written out."""


def attend(qkv: Tensor, num_heads: int, present: Tensor | None = None) -> Tensor:
    """Return softmax(q kᵀ / √d) v (B, N, D) of queries, keys and values qkv (B, N, 3D), each head by head.

    With `present` (B, N), the softmax is over the tokens where it is True; each sample needs one at least.

    On a CPU with AMX, whose matrix products are fast and whose fused kernel has a slow backward pass, short
    sequences use two products and a softmax; everything else uses the fused kernel.
    """
    B, N, _ = qkv.shape
    if present is None and N <= SHORT and amx.suits(qkv) and not torch.compiler.is_exporting():
        return amx.attend(qkv, num_heads)
    q, k, v = qkv.reshape(B, N, 3, num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, N, d) each
    keys = None if present is None else present[:, None, None]  # (B, 1, 1, N)
    return F.scaled_dot_product_attention(q, k, v, keys).transpose(1, 2).reshape(B, N, -1)


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for queries, keys and values."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim ({embed_dim}) must be a multiple of num_heads ({num_heads})")
        self.num_heads = num_heads
        self.qkv = Linear(embed_dim, 3 * embed_dim)
        self.proj = Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor, present: Tensor | None = None, angles: Tensor | None = None) -> Tensor:
        """Return tokens (B, N, D); queries and keys are turned by `angles`, where there are some, see `rotary`."""
        qkv = self.qkv(x)
        if angles is not None:
            qkv = turn(qkv, angles, self.num_heads)
        return self.proj(attend(qkv, self.num_heads, present))
