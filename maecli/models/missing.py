"""Cells that are missing: gaps of a series, cells of a table that nobody filled in, padding of a volume.

`valid` (B, C, *S) bool is True where a cell exists; it is None where all do, and then costs nothing. What a missing
cell holds has no say, not even NaN. A patch without a single valid cell is absent: no token attends to it, and its own
token is 0. Of a patch with some, the missing ones are 0, the mean of normalised data.

Shapes: B batch, C channels, S spatial axes, N patches or other tokens, D embed_dim.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from maecli.models.patches import patchify


def zero_missing(x: Tensor, valid: Tensor | None) -> Tensor:
    """Return x (B, C, *S), 0 where it is not `valid`."""
    return x if valid is None else torch.where(valid, x, 0.0)


def zero_absent(tokens: Tensor, present: Tensor | None) -> Tensor:
    """Return tokens (B, N, D), 0 where they are not `present` (B, N)."""
    return tokens if present is None else torch.where(present.unsqueeze(-1), tokens, 0.0)


def present_patches(valid: Tensor, patch_size: Sequence[int]) -> Tensor:
    """Return which patches have a valid cell (B, N) bool, of `valid` (B, C, *S)."""
    return patchify(valid, patch_size).any(-1)


def with_prefix(present: Tensor | None, num_prefix_tokens: int) -> Tensor | None:
    """Return which tokens are present (B, T + N): the T prefix tokens always are, patches where `present` (B, N)."""
    if present is None:
        return None
    return torch.cat([present.new_ones(present.shape[0], num_prefix_tokens), present], dim=1)
