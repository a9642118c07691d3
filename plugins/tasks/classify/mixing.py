"""Blending training samples with each other: mixup and CutMix.

Shapes: B batch, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mix(
    image: Tensor, mixup: float, cutmix: float, valid: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Blend each sample with the one before it in the batch, or paste a box of that one into it.

    Takes images (B, C, *S) and the alphas of Beta(alpha, alpha), of which one may be 0; where both are above 0, a coin
    chooses for the batch. Returns the images, the share (B,) of each that is its own, and which cells are `valid`: of a
    blend those that are in both samples, of a box those that were. Targets are blended alike:
    `torch.lerp(target.roll(1, 0), target, share)`. Random numbers are torch's own, of its generator on the CPU.
    Sources: mixup, arXiv:1710.09412, section 2; CutMix, arXiv:1905.04899, section 3.1.
    """
    alphas = {kind: alpha for kind, alpha in (("mixup", mixup), ("cutmix", cutmix)) if alpha > 0}
    kind = list(alphas)[int(torch.rand(()) * len(alphas))]
    alpha = torch.full((len(image),), alphas[kind])
    share = _moved(torch.distributions.Beta(alpha, alpha).sample(), image.device)  # (B,)
    other = image.roll(1, 0)
    if kind == "mixup":
        valid = None if valid is None else valid & valid.roll(1, 0)
        return torch.lerp(other, image, share.reshape(-1, *[1] * (image.ndim - 1))), share, valid
    box = box_masks(1 - share, image.shape[2:]).unsqueeze(1)  # (B, 1, *S)
    valid = None if valid is None else torch.where(box, valid.roll(1, 0), valid)
    return torch.where(box, other, image), 1 - box.flatten(1).float().mean(1), valid


def box_masks(area: Tensor, size: Sequence[int]) -> Tensor:
    """Return masks (B, *S), true inside a box of the picture's proportions that covers `area` (B,) of it.

    Centres are uniform; what sticks out is cut off. Source: CutMix, arXiv:1905.04899, equation 2.
    """
    side = area ** (1.0 / len(size))  # (B,) in shares of each axis
    inside = torch.ones(len(area), *size, dtype=torch.bool, device=area.device)
    for axis, length in enumerate(size):
        centre = _moved(torch.rand(len(area), 1), area.device)
        position = (torch.arange(length, device=area.device) + 0.5) / length
        near = (position - centre).abs() < side.unsqueeze(1) / 2  # (B, length)
        inside &= near.reshape(len(area), *(length if i == axis else 1 for i in range(len(size))))
    return inside


def _moved(numbers: Tensor, device: torch.device) -> Tensor:
    """Return numbers from the CPU on a device that nobody waits for: such a copy needs pinned memory."""
    return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers.to(device)
