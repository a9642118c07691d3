"""Layers of one to three axes, by that number, and how patches become cells again.

Shapes: B batch, D channels, S spatial axes, P patch.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
CONVOLUTIONS: tuple[type[Convolution], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
DECONVOLUTIONS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
DROPOUTS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
MODES = ("linear", "bilinear", "trilinear")


class ChannelNorm(nn.LayerNorm):
    """Layer norm of each cell's channels of x (B, D, *S): what lies around a cell has no say."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def can_double(patch_size: Sequence[int]) -> bool:
    """Return whether doubling leads from tokens to cells: sides are powers of two, and not all of them 1."""
    return max(patch_size) > 1 and all(side & (side - 1) == 0 for side in patch_size)


def doublings(patch_size: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the factors (*P) of each step from the token grid to cells, 2 or, along shorter sides at first, 1."""
    exponents = [side.bit_length() - 1 for side in patch_size]
    return [tuple(2 if level <= most else 1 for most in exponents) for level in range(max(exponents), 0, -1)]


def deconvolution(inputs: int, outputs: int, factors: Sequence[int], bias: bool = True) -> nn.Module:
    """Return what makes a cell so many along each axis, without overlap."""
    return DECONVOLUTIONS[len(factors) - 1](inputs, outputs, tuple(factors), tuple(factors), bias=bias)  # type: ignore[arg-type]
