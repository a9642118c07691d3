"""A vision transformer whose patches are embedded by convolutions that see visible patches only.

Shapes: B batch, C channels, H, W height and width, h, w of the patch grid, N = h·w patches, K kept, D embed_dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maecli.api import nets


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each position of a map (B, C, H, W), in the map's own dtype."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # which would copy the map to float32 and back
            last = x.permute(0, 2, 3, 1)
            normed = F.layer_norm(last, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)
        return normed.permute(0, 3, 1, 2)


class ConvUnit(nn.Module):
    """Pre-norm residual unit of two 3×3 convolutions: identity mappings, arXiv:1603.05027, figure 4 (e)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width, eps=1e-6)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        inner = F.gelu(self.conv1(_hide(self.norm(x), visible)))
        return x + self.conv2(_hide(inner, visible))


class MaskedStem(nn.Module):
    """Stages of a 3×3 convolution that halves the resolution, down to the patch grid, and `units` residual units each.

    Channels double from stage to stage up to D; a 1×1 convolution ends it. Hidden patches are set to zero before every
    convolution, so that nothing of them reaches a visible one.
    Source: early convolutions, arXiv:2106.14881, section 4, with residual units, and with layer norms where there are
    batch norms, whose statistics of half-hidden pictures would not fit whole ones; masked convolution,
    arXiv:2205.03892, section 3.
    """

    def __init__(self, patch_size: Sequence[int], in_chans: int, embed_dim: int, units: int = 1) -> None:
        super().__init__()
        strides = _strides(patch_size)
        doublings = len(strides) - 1
        if embed_dim % 2**doublings:
            raise ValueError(
                f"embed_dim ({embed_dim}) must be a multiple of {2**doublings}: the channels double {doublings} times"
            )
        widths = [embed_dim >> i for i in reversed(range(len(strides)))]
        self.halve = nn.ModuleList(
            nn.Conv2d(inputs, width, 3, stride, padding=1)
            for inputs, width, stride in zip([in_chans, *widths], widths, strides, strict=False)
        )
        self.units = nn.ModuleList(nn.ModuleList(ConvUnit(width) for _ in range(units)) for width in widths)
        self.norm = ChannelNorm(embed_dim, eps=1e-6)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """Return maps (B, h, w, D) of x (B, C, H, W); `visible` (B, 1, h, w) is 0 at hidden patches."""
        x = x.contiguous(memory_format=torch.channels_last)
        for halve, units in zip(self.halve, self.units, strict=True):
            x = halve(_hide(x, visible))
            for unit in units:  # type: ignore[attr-defined]  # a list of modules
                x = unit(x, visible)
        return self.proj(self.norm(x).permute(0, 2, 3, 1))


def _hide(x: Tensor, visible: Tensor | None) -> Tensor:
    """Return x (B, C, H, W), zero where `visible` (B, 1, h, w) is; each of its cells stands for a patch."""
    if visible is None:
        return x
    B, _, h, w = visible.shape
    H, W = x.shape[2:]
    fine = visible[:, :, :, None, :, None].expand(B, 1, h, H // h, w, W // w).reshape(B, 1, H, W)
    return x * fine.to(x.dtype)


def _strides(patch_size: Sequence[int]) -> list[tuple[int, int]]:
    """Return the strides (height, width) of the convolutions that lead to the patch grid."""
    rest = [int(length) for length in patch_size]
    if len(rest) != 2 or any(length < 2 or length & (length - 1) for length in rest):
        raise ValueError(
            f"patch_size {rest} must be two powers of 2, at least 2 each: a convolutional stem halves the resolution "
            "step by step; use a plain ViT for other patches"
        )
    strides: list[tuple[int, int]] = []
    while max(rest) > 1:
        step = tuple(2 if length > 1 else 1 for length in rest)
        strides.append((step[0], step[1]))
        rest = [length // s for length, s in zip(rest, step, strict=True)]
    return strides


class HybridVisionTransformer(nets.VisionTransformer):
    """Convolutional stem, then transformer blocks. It can be pretrained by masked autoencoding like a plain one."""

    def __init__(
        self,
        img_size: Sequence[int],
        patch_size: Sequence[int],
        in_chans: int = 3,
        embed_dim: int = 768,
        stem_units: int = 1,
        **settings: Any,
    ) -> None:
        stem = MaskedStem(patch_size, 1 if settings.get("per_channel") else in_chans, embed_dim, stem_units)
        super().__init__(img_size, patch_size, in_chans, embed_dim, **settings)
        self.patch_embed = stem.apply(nets.init_weights)

    def embed(self, x: Tensor, ids_keep: Tensor | None, present: Tensor | None = None) -> Tensor:
        h, w = nets.grid_of(x.shape[2:], self.patch_size)
        pos_embed = nets.interpolate_pos_embed(self.pos_embed, self.grid, (h, w))
        visible = None if present is None else present.to(x.dtype)
        if ids_keep is not None:
            kept = x.new_zeros(x.shape[0], h * w).scatter_(1, ids_keep, 1.0)
            visible = kept if visible is None else kept * visible
        if visible is not None:
            visible = visible.reshape(x.shape[0], 1, h, w)
        tokens = self.patch_embed(x, visible).flatten(1, 2)  # (B, N, D)
        if ids_keep is not None:
            tokens, pos_embed = nets.take(tokens, ids_keep), nets.take(pos_embed, ids_keep)
        return self._with_prefix_tokens(tokens + pos_embed)
