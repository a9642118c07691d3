"""Random changes to pictures, for a whole batch at once, each sample by its own draws.

Every change of geometry is one affine map from output to input coordinates; the maps of a sample are multiplied,
and the picture is sampled once.

Shapes: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli.data.randomness import Draws
from maecli.specs import AugmentSpec


def random_boxes(draws: Draws, size: tuple[int, int], spec: AugmentSpec) -> Tensor:
    """Return boxes (B, 4) as (top, left, height, width) in shares of the picture's size (H, W).

    Area and log aspect ratio are uniform in their ranges; a side that would be too long is cut to the picture.
    Source: "Going deeper with convolutions", arXiv:1409.4842, section 6.
    """
    u = draws.uniform("crop", 4)  # (B, 4)
    H, W = size
    area = spec.crop_scale[0] + u[:, 0] * (spec.crop_scale[1] - spec.crop_scale[0])
    low, high = (math.log(ratio) for ratio in spec.crop_ratio)
    aspect = torch.exp(low + u[:, 1] * (high - low)) * H / W
    height = (area / aspect).sqrt().clamp(max=1.0)
    width = (area * aspect).sqrt().clamp(max=1.0)
    return torch.stack([u[:, 2] * (1 - height), u[:, 3] * (1 - width), height, width], dim=1)


def _matrices(draws: Draws) -> Tensor:
    return torch.eye(3, device=draws.ids.device).repeat(len(draws), 1, 1)


def _box_maps(boxes: Tensor, draws: Draws) -> Tensor:
    """Return (B, 3, 3) maps in [-1, 1] coordinates that fill the output with each box (B, 4)."""
    maps = _matrices(draws)
    top, left, height, width = boxes.unbind(1)
    maps[:, 0, 0], maps[:, 1, 1] = width, height
    maps[:, 0, 2], maps[:, 1, 2] = 2 * left + width - 1, 2 * top + height - 1
    return maps


def _affine_maps(draws: Draws, size: tuple[int, int], spec: AugmentSpec) -> Tensor:
    """Return (B, 3, 3) maps in [-1, 1] coordinates (x, y) for shift, flip, rotation and zoom of a picture (H, W)."""
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
    if spec.flip:
        sign = torch.where(draws.uniform("flip", 1)[:, 0] < 0.5, -1.0, 1.0)
        maps[:, :, 0] *= sign[:, None]
    return maps


def augment(pixels: Tensor, draws: Draws, spec: AugmentSpec, out_size: tuple[int, int], crop: bool = True) -> Tensor:
    """Return changed pictures (B, C, *out_size) of pixels (B, C, H, W) float32 in [0, 1]; outside is 0.

    `crop=False` leaves out the random-resized crop, for pictures that were cropped when they were decoded.
    """
    H, W = pixels.shape[-2:]
    crop = crop and spec.crop == "random-resized"
    if not (crop or spec.moves_pixels):
        return pixels
    maps = _affine_maps(draws, out_size, spec)
    if crop:
        maps = _box_maps(random_boxes(draws, (H, W), spec), draws) @ maps
    grid = F.affine_grid(maps[:, :2], [len(pixels), pixels.shape[1], *out_size], align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
