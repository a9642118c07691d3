"""Blending training samples with each other: mixup and CutMix.

Who is blended with whom, and how, follows from a sample's own draws and from pairs: so micro-batches and processes that
keep pairs together change nothing.

Shapes: B batch, S spatial axes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maecli import api

from ..pairs import partners

QUANTILES = 4096


def mix(
    image: Tensor, draws: api.Draws, mixup: float, cutmix: float, valid: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Blend each sample with its `partners`, or paste a box of that one into it.

    Takes images (B, C, *S) and the alphas of Beta(alpha, alpha), of which one may be 0; where both are above 0, a coin
    chooses for each sample. Returns the images, the share (B,) of each that is its own, and which cells are `valid`: of
    a blend those that are in both samples, of a box those that were. Targets are blended alike:
    `torch.lerp(target[partners(target)], target, share)`.
    Sources: mixup, arXiv:1710.09412, section 2; CutMix, arXiv:1905.04899, section 3.1.
    """
    coin, number, *centre = draws.uniform("mix", image.ndim).unbind(1)  # of (B, 2 + S)
    other, other_valid = image[partners(image)], None if valid is None else valid[partners(image)]
    pasted = (coin * ((mixup > 0) + (cutmix > 0)) >= (mixup > 0)).reshape(-1, *[1] * (image.ndim - 1))  # (B, 1, …)
    blend = _beta(number, mixup) if mixup > 0 else torch.ones_like(number)
    share = blend.reshape(pasted.shape)
    mixed, kept = torch.lerp(other, image, share), None if valid is None or other_valid is None else valid & other_valid
    if cutmix > 0:
        box = box_masks(1 - _beta(number, cutmix), torch.stack(centre, 1), image.shape[2:]).unsqueeze(1)  # (B, 1, *S)
        mixed = torch.where(pasted, torch.where(box, other, image), mixed)
        share = torch.where(pasted, 1 - box.flatten(1).float().mean(1).reshape(pasted.shape), share)
        if kept is not None and valid is not None and other_valid is not None:
            kept = torch.where(pasted, torch.where(box, other_valid, valid), kept)
    return mixed, share.flatten(), kept


def box_masks(area: Tensor, centre: Tensor, size: Sequence[int]) -> Tensor:
    """Return masks (B, *S), true inside a box of the picture's proportions that covers `area` (B,) of it.

    Its `centre` (B, S) is in shares of each axis; what sticks out is cut off. Source: CutMix, arXiv:1905.04899,
    equation 2.
    """
    side = area ** (1.0 / len(size))  # (B,) in shares of each axis
    inside = torch.ones(len(area), *size, dtype=torch.bool, device=area.device)
    for axis, length in enumerate(size):
        position = (torch.arange(length, device=area.device) + 0.5) / length
        near = (position - centre[:, axis, None]).abs() < side.unsqueeze(1) / 2  # (B, length)
        inside &= near.reshape(len(area), *(length if i == axis else 1 for i in range(len(size))))
    return inside


def _beta(number: Tensor, alpha: float) -> Tensor:
    """Return numbers (B,) of Beta(alpha, alpha) for uniform ones in [0, 1)."""
    quantiles = _quantiles(alpha, number.device)
    place = number * QUANTILES
    below = place.long()
    return torch.lerp(quantiles[below], quantiles[below + 1], place - below)


@functools.cache
def _quantiles(alpha: float, device: torch.device) -> Tensor:
    """Return the quantiles of Beta(alpha, alpha), evenly spaced from 0 to 1, made once: no step waits for them."""
    from scipy.special import betaincinv  # type: ignore[import-untyped]  # only needed here

    values = betaincinv(alpha, alpha, np.linspace(0, 1, QUANTILES + 1))
    return torch.from_numpy(values.astype(np.float32)).to(device)
