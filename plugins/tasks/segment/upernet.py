"""UPerNet, and the feature pyramid that lets it stand on a plain vision transformer.

Norms are group norms: batches of dense prediction are small, and a mean over two pictures says little.

Shapes: B batch, D embed_dim, M channels, h, w height and width of the token grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POOL_SIZES = (1, 2, 3, 6)
"""Cells along each axis of the pooled maps: PSPNet, arXiv:1612.01105, section 3.2."""


class FeaturePyramid(nn.Module):
    """Four maps (B, D, h, w), from shallow to deep, scaled 4, 2, 1 and 1/2 times.

    Source: "Exploring plain vision transformer backbones", arXiv:2203.16527, section 3: deconvolutions of stride 2
    enlarge, max-pooling reduces. There all four come from the last map; here each has its own.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        D = embed_dim
        self.scales = nn.ModuleList(
            [
                nn.Sequential(_double(D), _norm(D), nn.GELU(), _double(D)),
                _double(D),
                nn.Identity(),
                nn.MaxPool2d(2, ceil_mode=True),  # a grid of one cell keeps it
            ]
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [scale(x) for scale, x in zip(self.scales, maps, strict=True)]


class UPerNet(nn.Module):
    """Join a pyramid of maps (B, D, …) of widths `dims`, finest first, to one (B, M, …) at the finest resolution.

    Source: UPerNet, arXiv:1807.10221, section 3.2, with the pyramid pooling of PSPNet on the coarsest map.
    """

    def __init__(self, dims: Sequence[int], channels: int) -> None:
        super().__init__()
        *finer, D = dims
        M = channels
        self.pooled = nn.ModuleList(_conv(D, M, 1) for _ in POOL_SIZES)
        self.top = _conv(D + M * len(POOL_SIZES), M, 3)
        self.lateral = nn.ModuleList(_conv(width, M, 1) for width in finer)
        self.smooth = nn.ModuleList(_conv(M, M, 3) for _ in finer)
        self.fuse = _conv(M * len(dims), M, 3)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        *finer, coarsest = maps
        level = self.top(torch.cat([coarsest, *self._pool(coarsest)], dim=1))
        levels = [level]
        for x, lateral, smooth in reversed(list(zip(finer, self.lateral, self.smooth, strict=True))):
            level = lateral(x) + _to(level, x)
            levels.insert(0, smooth(level))
        return self.fuse(torch.cat([_to(each, levels[0]) for each in levels], dim=1))

    def _pool(self, x: Tensor) -> list[Tensor]:
        return [
            _to(conv(F.adaptive_avg_pool2d(x, size)), x) for conv, size in zip(self.pooled, POOL_SIZES, strict=True)
        ]


def _to(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


def _double(channels: int) -> nn.Module:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2)


def _conv(inputs: int, outputs: int, size: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), _norm(outputs), nn.ReLU())


def _norm(channels: int) -> nn.Module:
    """Return a group norm of at most 32 groups of at least 8 channels: one channel of one cell would become zero."""
    groups = (32, 16, 8, 4, 2)
    return nn.GroupNorm(next((g for g in groups if channels % g == 0 and channels >= 8 * g), 1), channels)
