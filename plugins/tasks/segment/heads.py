"""Heads from an encoder's maps to a class per cell.

Shapes: B batch, D embed_dim, S spatial axes, G axes of the token grid; of pictures H, W height and width, h, w of the
token grid, P, p patch height and width; Q classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maecli import api

from .layers import CONVOLUTIONS, DROPOUTS, MODES, Convolution, can_double, doublings
from .light import LightDecoder
from .unetr import Unetr
from .upernet import FeaturePyramid, UPerNet

SegmentationKind = Literal["conv", "shuffle", "upernet", "unetr", "light"]


class SegmentationHead(nn.Module, ABC):
    """From maps of the token grid to logits, at a resolution of its own; `Segmenter` brings them to the picture's."""

    depths: tuple[int, ...]
    """After how many blocks the maps are taken; set in `__init__`."""

    @abstractmethod
    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        """Return logits (B, Q, …) of the maps (B, D, *G), one of each of `depths`, and the sample x (B, C, *S)."""


class ConvHead(SegmentationHead):
    """A 1×1 convolution on the token grid, of one to three axes: the linear probe of dense prediction."""

    def __init__(self, encoder: api.Encoder, num_classes: int, drop: float = 0.0) -> None:
        super().__init__()
        self.depths = (encoder.depth,)
        axes = len(encoder.img_size)
        self.drop = DROPOUTS[axes - 1](drop)
        self.classify = _last(CONVOLUTIONS[axes - 1](encoder.embed_dim, num_classes, 1))

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.drop(maps[0]))
        return logits


class ShuffleHead(SegmentationHead):
    """Each token becomes its patch's pixels, `channels` values each, then a 3×3 convolution of these and the picture.

    The rearrangement is the sub-pixel convolution of arXiv:1609.05158, section 3, for patches that need not be square.
    Tokens say what a patch shows, the picture where its edges run.
    """

    def __init__(self, encoder: api.Encoder, num_classes: int, channels: int, drop: float = 0.0) -> None:
        super().__init__()
        self.depths = (encoder.depth,)
        self.patch_size = (encoder.patch_size[0], encoder.patch_size[1])
        P, p = self.patch_size
        self.expand = nn.Conv2d(encoder.embed_dim, channels * P * p, 1)
        self.drop = nn.Dropout2d(drop)
        self.classify = _last(nn.Conv2d(channels + encoder.in_chans, num_classes, 3, padding=1))

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        fine = self.expand(maps[0])
        B, _, h, w = fine.shape
        P, p = self.patch_size
        fine = fine.reshape(B, -1, P, p, h, w).permute(0, 1, 4, 2, 5, 3)  # (B, channels, h, P, w, p)
        fine = self.drop(F.gelu(fine.reshape(B, -1, h * P, w * p)))
        return self.classify(torch.cat([fine, x.to(fine.dtype)], dim=1))


class LightHead(SegmentationHead):
    """Tokens that a few transposed convolutions enlarge to cells, of one to three axes."""

    def __init__(self, encoder: api.Encoder, num_classes: int, channels: int, drop: float = 0.0) -> None:
        super().__init__()
        self.depths = (encoder.depth,)
        axes = len(encoder.patch_size)
        self.decode = LightDecoder(encoder.embed_dim, encoder.patch_size, channels)
        self.drop = DROPOUTS[axes - 1](drop)
        self.classify = _last(CONVOLUTIONS[axes - 1](channels, num_classes, 1))

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.drop(self.decode(maps[0])))
        return logits


class UnetrHead(SegmentationHead):
    """UNETR's decoder on evenly spaced maps, of one to three axes.

    As many as a patch halves: patches of 16 take those after a quarter, half, three quarters and all of the blocks, as
    the paper does, patches of 8 those after each third.
    """

    def __init__(self, encoder: api.Encoder, num_classes: int, channels: int, drop: float = 0.0) -> None:
        super().__init__()
        self.depths = _evenly(encoder.depth, len(doublings(encoder.patch_size)))
        axes = len(encoder.patch_size)
        self.decode = Unetr(encoder.embed_dim, encoder.in_chans, encoder.patch_size, channels)
        self.drop = DROPOUTS[axes - 1](drop)
        self.classify = _last(CONVOLUTIONS[axes - 1](channels, num_classes, 1))

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.drop(self.decode(maps, x)))
        return logits


class UPerHead(SegmentationHead):
    """UPerNet on the encoder's own pyramid or, where its maps are all alike, on a simple one.

    Its logits are as fine as the first map: with a simple pyramid, four times as fine as the token grid.

    Of maps that are alike it takes those after a quarter, half, three quarters and all of the blocks, where MAE's
    ViT-B, following BEiT's code, takes them after 4, 6, 8 and 12 of 12: arXiv:2111.06377, section A.4.
    """

    def __init__(self, encoder: api.Encoder, num_classes: int, channels: int, drop: float = 0.0) -> None:
        super().__init__()
        self.pyramid: nn.Module
        if encoder.pyramid:
            self.depths, dims = tuple(range(1, encoder.depth + 1)), encoder.pyramid
            self.pyramid = nn.Identity()
        else:
            self.depths, dims = _evenly(encoder.depth, 4), (encoder.embed_dim,) * 4
            self.pyramid = FeaturePyramid(encoder.embed_dim)
        self.decode = UPerNet(dims, channels)
        self.drop = nn.Dropout2d(drop)
        self.classify = _last(nn.Conv2d(channels, num_classes, 1))

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        return self.classify(self.drop(self.decode(self.pyramid(maps))))


class Segmenter(nn.Module):
    """An encoder with a head on its maps."""

    def __init__(self, encoder: api.Encoder, head: SegmentationHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return logits (B, Q, *S) float32 of x (B, C, *S), padded with zeros to sides that the patch divides.

        Where cells are missing, as `valid` (B, C, *S) says, those of the padding are too.
        """
        size = x.shape[2:]
        x = api.nets.zero_missing(x, valid)
        short = [-length % patch for length, patch in zip(size, self.encoder.patch_size, strict=True)]
        if any(short):
            x, valid = padded(x, short), None if valid is None else padded(valid, short)
        logits = self.head(self.encoder.features(x, self.head.depths, valid), x).float()
        return resized(logits, x.shape[2:], antialias=False)[:, :, *map(slice, size)]


def padded(x: Tensor, numbers: Sequence[int]) -> Tensor:
    """Return x (B, C, *S) with so many zeros at the end of each axis."""
    return F.pad(x, [num for after in reversed(numbers) for num in (0, after)])


def resized(x: Tensor, size: Sequence[int], antialias: bool = True) -> Tensor:
    """Return x (B, C, *S), of one to three axes, interpolated to `size`; antialiased where it is of pictures."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    axes = x.ndim - 2
    return F.interpolate(x, tuple(size), mode=MODES[axes - 1], align_corners=False, antialias=antialias and axes == 2)


HEADS: dict[SegmentationKind, type[SegmentationHead]] = {
    "shuffle": ShuffleHead,
    "upernet": UPerHead,
    "unetr": UnetrHead,
    "light": LightHead,
}
WIDTHS: dict[SegmentationKind, int] = {"upernet": 256, "unetr": 16, "light": 32}
"""Channels before the last layer; of others as many as classes."""


def segmentation_head(
    kind: SegmentationKind, encoder: api.Encoder, num_classes: int, channels: int | None = None, drop: float = 0.0
) -> SegmentationHead:
    """Return a new head. `channels` is the width before the last layer, by default that of `WIDTHS`.

    `drop` is the share of those channels that is left out in training. The encoder suits it, see `why_not`.
    """
    if kind == "conv":
        return ConvHead(encoder, num_classes, drop)
    return HEADS[kind](encoder, num_classes, channels or WIDTHS.get(kind, num_classes), drop)


def why_not(kind: SegmentationKind, encoder: api.Encoder, channels: int, data: str) -> str:
    """Return why a head cannot stand on an encoder of data with so many channels, with a way out; or nothing."""
    axes = len(encoder.img_size)
    if axes != 2 and kind in ("shuffle", "upernet"):
        return f"works on pictures, and {data} has data of {axes} axes; give --set task.head=light"
    if kind in ("unetr", "light") and not can_double(encoder.patch_size):
        patch = "×".join(map(str, encoder.patch_size))
        return f"needs patches whose sides are powers of two, and they are {patch}; give --set task.head=conv"
    if kind == "unetr" and encoder.pyramid:
        return (
            "needs a model whose maps are all alike, and here they get coarser with depth; give --set task.head=light"
        )
    if kind in ("shuffle", "unetr") and encoder.per_channel and channels > 1:
        return (
            f"reads all {channels} channels at once, and the model one at a time (model.per_channel); "
            "give --set task.head=light"
        )
    return ""


def _evenly(depth: int, num: int) -> tuple[int, ...]:
    """Return so many numbers of blocks up to a depth, of four a quarter, half, three quarters and all; rounded up."""
    return tuple(-(-depth * part // num) for part in range(1, num + 1))


def _last(layer: Convolution) -> Convolution:
    """Start with all classes nearly alike."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
