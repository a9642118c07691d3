"""Pictures, series and volumes as sequences of patches, and back.

Shapes: B batch, C channels, S spatial axes (any number), G grid cells per axis, N patches, P values per patch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def grid_of(img_size: Sequence[int], patch_size: Sequence[int]) -> tuple[int, ...]:
    """Return how many patches lie along each axis.

    Raises ValueError when the numbers of axes differ or a patch size does not divide its axis.
    """
    if len(img_size) != len(patch_size):
        raise ValueError(f"img_size {tuple(img_size)} and patch_size {tuple(patch_size)} differ in axes")
    for size, patch in zip(img_size, patch_size, strict=True):
        if patch < 1 or size < patch or size % patch:
            raise ValueError(f"img_size ({size}) must be a multiple of patch_size ({patch})")
    return tuple(size // patch for size, patch in zip(img_size, patch_size, strict=True))


def patchify(x: Tensor, patch_size: Sequence[int]) -> Tensor:
    """Return the patches of x (B, C, *S) as (B, N, P), the first axis of the grid slowest.

    Within a patch the channel runs fastest, as in the official MAE: P = prod(patch_size) * C.
    """
    B, C, *size = x.shape
    grid = grid_of(size, patch_size)
    axes = len(grid)
    split = [length for pair in zip(grid, patch_size, strict=True) for length in pair]
    x = x.reshape(B, C, *split)  # (B, C, G1, p1, G2, p2, …)
    order = [0, *range(2, 2 + 2 * axes, 2), *range(3, 3 + 2 * axes, 2), 1]
    return x.permute(order).reshape(B, math.prod(grid), math.prod(patch_size) * C)


def unpatchify(patches: Tensor, grid: Sequence[int], patch_size: Sequence[int]) -> Tensor:
    """Return (B, C, *S) for patches (B, N, P): the inverse of `patchify`."""
    B, N, P = patches.shape
    if math.prod(grid) != N:
        raise ValueError(f"{N} patches do not fill a grid of {tuple(grid)}")
    axes = len(grid)
    C = P // math.prod(patch_size)
    x = patches.reshape(B, *grid, *patch_size, C)
    order = [0, 1 + 2 * axes, *(axis for i in range(axes) for axis in (1 + i, 1 + axes + i))]
    size = [cells * patch for cells, patch in zip(grid, patch_size, strict=True)]
    return x.permute(order).reshape(B, C, *size)
