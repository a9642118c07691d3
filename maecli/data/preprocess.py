"""From samples as a data set gives them to the numbers that a model sees, and back to pixels.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.card import DataCard
from maecli.errors import SpecError


@dataclass(frozen=True)
class Preprocess:
    """How pictures become model input: size, channels, range, mean and standard deviation."""

    img_size: tuple[int, ...]
    in_chans: int
    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(
        cls,
        card: DataCard,
        img_size: Sequence[int],
        channels: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> Self:
        """Take what is not given from the card. One grey channel can be copied to any number.

        Raises SpecError when `channels` cannot be had from the data, or mean and std do not fit it.
        """
        in_chans = channels or card.channels
        if in_chans != card.channels and card.channels != 1:
            raise SpecError(
                f"data.channels ({in_chans}) differs from the {card.channels} channels of {card.name}; only "
                "single-channel data can be copied to more channels"
            )
        values = {"mean": mean or card.mean, "std": std or card.std}
        for name, value in values.items():
            if len(value) == 1:
                values[name] = tuple(value) * in_chans
            elif len(value) != in_chans:
                raise SpecError(f"data.{name} has {len(value)} values for {in_chans} channels")
        if min(values["std"]) <= 0:
            raise SpecError(f"data.std {tuple(values['std'])} must be above 0")
        return cls(tuple(img_size), in_chans, card.value_range, tuple(values["mean"]), tuple(values["std"]))

    def mean_pixels(self, batches: Iterable[Batch]) -> Tensor | None:
        """Return the mean (C, *S), in pixel units, of normalised batches; None where there is none.

        Missing cells do not count; one that is missing everywhere gets the mean of its channel.
        """
        total: Tensor | None = None
        num: Tensor | int = 0
        for batch in batches:
            pixels, valid = self.to_pixels(batch["image"]).double(), batch.tensors.get("valid")
            if valid is not None:
                pixels = torch.where(valid, pixels, 0.0)
            total = pixels.sum(0) if total is None else total + pixels.sum(0)
            num = num + (len(pixels) if valid is None else valid.sum(0))
        if total is None or isinstance(num, int):
            return None if total is None else (total / num).float()
        mean = (total / num.clamp(min=1)).float()
        return torch.where(num > 0, mean, self.to_pixels(torch.zeros_like(mean)[None])[0])

    def _per_channel(self, values: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(values, device=like.device).reshape(1, -1, *[1] * (like.ndim - 2))

    def pixels(self, raw: Tensor) -> Tensor:
        """Return float32 in [0, 1] (B, C, *S) of samples in the data's own dtype and range."""
        low, high = self.value_range
        x = raw.to(torch.float32)
        return x * (1.0 / (high - low)) if low == 0 else (x - low) * (1.0 / (high - low))

    def resize(self, pixels: Tensor) -> Tensor:
        """Return pixels (B, C, *img_size), antialiased; of pictures, the centred part of that aspect ratio."""
        if tuple(pixels.shape[2:]) != self.img_size:
            if pixels.ndim == 4:
                top, left, height, width = centred_box(pixels.shape[2:], self.img_size)
                pixels = pixels[:, :, top : top + height, left : left + width]
                pixels = F.interpolate(pixels, self.img_size, mode="bilinear", antialias=True)
            else:
                mode = {3: "linear", 5: "trilinear"}[pixels.ndim]
                pixels = F.interpolate(pixels, self.img_size, mode=mode)
        return pixels

    def resize_mask(self, mask: Tensor) -> Tensor:
        """Return a mask (B, *img_size) of (B, H, W): the same part as `resize` takes, nearest pixels."""
        if tuple(mask.shape[1:]) == self.img_size:
            return mask
        top, left, height, width = centred_box(mask.shape[1:], self.img_size)
        part = mask[:, None, top : top + height, left : left + width]
        return F.interpolate(part, self.img_size, mode="nearest-exact").squeeze(1)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return (pixels - mean) / std (B, in_chans, *S); a single channel is copied first if asked for."""
        if pixels.shape[1] != self.in_chans:
            pixels = pixels.expand(-1, self.in_chans, *[-1] * (pixels.ndim - 2))
        return (pixels - self._per_channel(self.mean, pixels)) / self._per_channel(self.std, pixels)

    def to_pixels(self, x: Tensor) -> Tensor:
        """Return pixels in [0, 1] units of normalised x (B, in_chans, *S): the inverse of `normalize`."""
        return x * self._per_channel(self.std, x) + self._per_channel(self.mean, x)


def centred_box(size: Sequence[int], target: Sequence[int]) -> tuple[int, int, int, int]:
    """Return the largest centred box (top, left, height, width) in `size` (H, W) of `target`'s aspect ratio."""
    H, W = size
    h, w = target
    height, width = (H, max(1, round(H * w / h))) if H * w <= W * h else (max(1, round(W * h / w)), W)
    return (H - height) // 2, (W - width) // 2, height, width
