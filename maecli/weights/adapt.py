"""Patch kernels for other channels and other patch sizes. Pure functions of tensors.

Shapes: D embed_dim, C channels, p patch sizes (any number of axes), P = prod(p) * C values per patch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def linear_of_kernel(kernel: Tensor) -> Tensor:
    """Return the weight (D, P) of a linear layer over our patches, channel fastest, for a kernel (D, C, *p)."""
    return kernel.movedim(1, -1).reshape(len(kernel), -1)


def kernel_of_linear(weight: Tensor, patch_size: Sequence[int]) -> Tensor:
    """Return the kernel (D, C, *p) of a linear layer (D, P) over our patches: the inverse of `linear_of_kernel`."""
    return weight.reshape(len(weight), *patch_size, -1).movedim(-1, 1)


def change_channels(kernel: Tensor, in_chans: int) -> Tensor:
    """Return a kernel (D, in_chans, *p) for (D, C, *p): each new channel gets an equal share of the sum of the old.

    So a picture whose channels are all alike gives the tokens that it gave before: 3 channels are summed to 1, and 1 is
    repeated and divided. What told colours apart is lost where the number changes.
    """
    total = kernel.sum(dim=1, keepdim=True)
    return total.expand(-1, in_chans, *kernel.shape[2:]) / in_chans


def first_channels(kernel: Tensor, in_chans: int) -> Tensor:
    """Return a kernel (D, in_chans, *p) for (D, C, *p) of channels that mean the same: the first ones, then zeros."""
    new = kernel.new_zeros(len(kernel), in_chans, *kernel.shape[2:])
    num = min(in_chans, kernel.shape[1])
    new[:, :num] = kernel[:, :num]
    return new


def resize_kernel(kernel: Tensor, patch_size: Sequence[int]) -> Tensor:
    """Return a kernel (D, C, *patch_size) float32 that gives resized patches the tokens of the original ones.

    Along each axis B (p', p) is the linear resizing of a patch, and w' = (Bᵀ)⁺ w solves ⟨B x, w'⟩ = ⟨x, w⟩:
    exactly for all x when patches grow, in the least-squares sense over white noise x when they shrink.
    Source: FlexiViT, arXiv:2212.08013, section 3.4, equation 6, "PI-resize"; the inverse of a Kronecker
    product is that of its factors, so axes are done one by one.
    """
    resized = kernel.to(torch.float64)
    for axis, (old, new) in enumerate(zip(kernel.shape[2:], patch_size, strict=True), start=2):
        if old != new:
            inverse = torch.linalg.pinv(_resizing(old, new).T)  # (p', p)
            resized = torch.tensordot(resized, inverse, dims=([axis], [1])).movedim(-1, axis)
    return resized.to(torch.float32)


def _resizing(old: int, new: int) -> Tensor:
    """Return the matrix (new, old) float64 of resizing `old` pixels linearly, antialiased as pictures are."""
    basis = torch.eye(old, dtype=torch.float64)[None, None]
    return F.interpolate(basis, (old, new), mode="bilinear", antialias=True)[0, 0].T


def describe_size(sizes: Sequence[int]) -> str:
    """Return 4×4 for (4, 4)."""
    return "×".join(str(size) for size in sizes) or "scalar"


def side_of(num_cells: int) -> int | None:
    """Return the side of a square grid of so many cells, None if there is none."""
    side = math.isqrt(num_cells)
    return side if num_cells > 0 and side * side == num_cells else None
