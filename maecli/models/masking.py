"""Which patches the encoder sees, and taking tokens by position.

A mask is 1 where a patch is hidden, everywhere in this project.

Shapes: B batch, N patches, K kept, M = N - K hidden, D embed_dim.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Masking(NamedTuple):
    """One split of every sample's patches into kept and hidden ones."""

    ids_keep: Tensor
    """(B, K) int64, in the order of their noise."""
    ids_hide: Tensor
    """(B, M) int64, likewise."""
    mask: Tensor
    """(B, N) float32, 1 = hidden."""


def num_kept(num_patches: int, mask_ratio: float) -> int:
    """Return how many patches stay visible: N - round(N * mask_ratio).

    Rounding, where the official code truncates: int() would hide 28 of 100 at 0.29.
    """
    return num_patches - round(num_patches * mask_ratio)


def random_masking(noise: Tensor, mask_ratio: float) -> Masking:
    """Hide the `mask_ratio` of each sample's patches that drew the highest noise (B, N).

    Source: MAE, arXiv:2111.06377, section 3, "Masking".
    Raises ValueError when no patch, or every patch, would be hidden.
    """
    N = noise.shape[1]
    K = num_kept(N, mask_ratio)
    if not 0 < K < N:
        raise ValueError(f"mask_ratio {mask_ratio} hides {N - K} of {N} patches")
    ids = noise.argsort(dim=1)
    ids_keep, ids_hide = ids[:, :K], ids[:, K:]
    mask = torch.ones_like(noise, dtype=torch.float32).scatter_(1, ids_keep, 0.0)
    return Masking(ids_keep, ids_hide, mask)


def take(tokens: Tensor, ids: Tensor) -> Tensor:
    """Return the tokens (B, K, D) at positions `ids` (B, K) of tokens (B, N, D), or of (1, N, D) for all."""
    tokens = tokens.expand(ids.shape[0], -1, -1)
    return tokens.gather(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
