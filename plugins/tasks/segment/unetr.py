"""UNETR's decoder: from maps of a transformer, and the sample itself, to its cells.

Norms are instance norms, where the paper has batch norms: batches of volumes are of one to six.

Shapes: B batch, C channels, D embed_dim, M channels of cells, G axes of the token grid, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .layers import CONVOLUTIONS, INSTANCE_NORMS, deconvolution, doublings


class Unetr(nn.Module):
    """Join as many maps (B, D, *G) as a patch halves, and x (B, C, *S), to (B, M, *S), twice as wide each level down.

    From the deepest map on, each step doubles what it has and joins the next shallower map, brought to that size by
    deconvolutions of its own; the last one joins the sample.
    Source: UNETR, arXiv:2103.10504, section 3.2 and figure 2.
    """

    def __init__(self, embed_dim: int, in_chans: int, patch_size: Sequence[int], channels: int) -> None:
        super().__init__()
        axes, steps = len(patch_size), doublings(patch_size)
        widths = [channels << level for level in reversed(range(len(steps)))]
        self.skips = nn.ModuleList(
            _brought_up(embed_dim, width, steps[: number + 1]) for number, width in enumerate(widths[:-1])
        )
        self.sample = _convolutions(in_chans, channels, axes)
        self.ups = nn.ModuleList(
            deconvolution(inputs, width, factors, bias=False)
            for inputs, width, factors in zip([embed_dim, *widths], widths, steps, strict=False)
        )
        self.joins = nn.ModuleList(_convolutions(2 * width, width, axes) for width in widths)

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        *shallower, out = maps
        skips = [skip(each) for skip, each in zip(self.skips, reversed(shallower), strict=True)]
        for up, join, skip in zip(self.ups, self.joins, [*skips, self.sample(x)], strict=True):
            out = join(torch.cat([up(out), skip], dim=1))
        return out


def _brought_up(embed_dim: int, width: int, steps: Sequence[Sequence[int]]) -> nn.Sequential:
    """Return a deconvolution with a convolution for each step."""
    layers: list[nn.Module] = []
    for inputs, factors in zip([embed_dim, *[width] * len(steps)], steps, strict=False):
        layers += [deconvolution(inputs, width, factors, bias=False), _convolution(width, width, len(factors))]
    return nn.Sequential(*layers)


def _convolutions(inputs: int, outputs: int, axes: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs, axes), _convolution(outputs, outputs, axes))


def _convolution(inputs: int, outputs: int, axes: int) -> nn.Sequential:
    """Return a 3×3×3 convolution with norm; without biases, which the norm would take away."""
    convolve = CONVOLUTIONS[axes - 1](inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolve, INSTANCE_NORMS[axes - 1](outputs, affine=True), nn.ReLU())
