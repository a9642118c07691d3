"""Random changes to pictures of the model's size and their masks, a batch at once, each sample by its own draws.

They are the same on every device, wherever the pictures were decoded and cut. Mirroring comes first. Shift, rotation
and zoom are one affine map from output to input coordinates, by which the picture is sampled once: bilinearly, its mask
by the nearest pixel. Colour comes last.

Shapes: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli.data.randomness import Draws
from maecli.modalities.constants import constant
from maecli.modalities.modality import mirrored
from maecli.modalities.pictures.masks.read import VOID
from maecli.modalities.pictures.read import GREY
from maecli.schema import AugmentSpec


def _matrices(draws: Draws) -> Tensor:
    return torch.eye(3, device=draws.ids.device).repeat(len(draws), 1, 1)


def _affine_maps(draws: Draws, size: tuple[int, int], spec: AugmentSpec) -> Tensor:
    """Return (B, 3, 3) maps in [-1, 1] coordinates (x, y) for shift, rotation and zoom of a picture (H, W)."""
    H, W = size
    maps = _matrices(draws)
    if spec.rotate or spec.translate or spec.zoom != (1.0, 1.0):
        u = 2 * draws.uniform("affine", 4) - 1  # (B, 4) in [-1, 1)
        angle = u[:, 0] * math.radians(spec.rotate)
        low, high = spec.zoom
        zoom = (low + high) / 2 + u[:, 1] * (high - low) / 2
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        maps[:, 0, 0], maps[:, 0, 1] = cos, -sin * H / W  # pixels are square, coordinates are not
        maps[:, 1, 0], maps[:, 1, 1] = sin * W / H, cos
        maps[:, 0, 2] = u[:, 2] * 2 * spec.translate / W
        maps[:, 1, 2] = u[:, 3] * 2 * spec.translate / H
    if spec.crop == "pad":
        u = draws.uniform("crop", 2)
        shift = (u * (2 * spec.crop_padding + 1)).floor() - spec.crop_padding  # whole pixels
        maps[:, 0, 2] += shift[:, 0] * 2 / W
        maps[:, 1, 2] += shift[:, 1] * 2 / H
    return maps


def augment(tensors: dict[str, Tensor], draws: Draws, spec: AugmentSpec, void: int = VOID) -> dict[str, Tensor]:
    """Return a batch with `image` (B, C, H, W) and, where they are there, `mask` and `valid` changed.

    Takes `image` float32 in [0, 1], `mask` (B, H, W) and `valid` (B, C, H, W) bool. Outside a picture is 0, outside a
    mask is void, and nothing there is valid.
    """
    if spec.flip:
        tensors = mirrored(tensors, draws)
    image = tensors["image"]
    changed: dict[str, Tensor] = {}
    if spec.moves_pixels:
        maps = _affine_maps(draws, (image.shape[2], image.shape[3]), spec)
        grid = F.affine_grid(maps[:, :2], list(image.shape), align_corners=False)
        image = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        if "mask" in tensors:
            changed["mask"] = _sample_mask(tensors["mask"], grid, void)
        if "valid" in tensors:
            there = tensors["valid"].to(torch.float32)
            changed["valid"] = F.grid_sample(there, grid, mode="nearest", align_corners=False) > 0.5
    if spec.color:
        image = recolour(image, draws, spec.color)
    return {**tensors, **changed, "image": image}


def _sample_mask(mask: Tensor, grid: Tensor, void: int) -> Tensor:
    """Return (B, h, w) of a mask (B, H, W): the nearest pixel, void outside."""
    shifted = mask.unsqueeze(1).to(torch.float32) + 2.0  # so that the 0 which fills up is no class, nor -1 as void
    sampled = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False).squeeze(1)
    return torch.where(sampled == 0.0, void, sampled - 2.0).to(mask.dtype)


def recolour(pixels: Tensor, draws: Draws, strength: float) -> Tensor:
    """Return pixels (B, C, H, W) in [0, 1] with brightness, contrast and saturation times 1 ± `strength`.

    Contrast is the distance from the picture's mean grey, saturation that from each pixel's grey; pictures of other
    than three channels have no saturation.
    """
    factors = 1 + strength * (2 * draws.uniform("color", 3) - 1)  # (B, 3)
    brightness, contrast, saturation = (factors[:, i, None, None, None] for i in range(3))
    pixels = (pixels * brightness).clamp(0, 1)
    mean = _grey(pixels).mean((2, 3), keepdim=True)
    pixels = (mean + (pixels - mean) * contrast).clamp(0, 1)
    if pixels.shape[1] != 3:
        return pixels
    grey = _grey(pixels)
    return (grey + (pixels - grey) * saturation).clamp(0, 1)


def _grey(pixels: Tensor) -> Tensor:
    """Return (B, 1, H, W): the weighted sum of red, green and blue, else the mean of the channels."""
    if pixels.shape[1] != 3:
        return pixels.mean(1, keepdim=True)
    return (pixels * constant(GREY, pixels.device, 4)).sum(1, keepdim=True)
