"""A decoder of a few transposed convolutions, for transformers on small patches.

Shapes: B batch, D embed_dim, M channels, G axes of the token grid, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .layers import ChannelNorm, deconvolution, doublings


class LightDecoder(nn.Sequential):
    """Double tokens (B, D, *G) until they are cells (B, M, *S), each step half as wide as the one before it.

    Source: Primus, arXiv:2503.01835, whose plain transformer on 8 × 8 × 8 patches needs no more: no skip connections.
    """

    def __init__(self, embed_dim: int, patch_size: Sequence[int], channels: int) -> None:
        steps = doublings(patch_size)
        widths = [channels << level for level in reversed(range(len(steps)))]
        layers: list[nn.Module] = []
        for inputs, outputs, factors in zip([embed_dim, *widths], widths, steps, strict=False):
            layers += [deconvolution(inputs, outputs, factors), ChannelNorm(outputs), nn.GELU()]
        super().__init__(*layers)
