"""Random changes to pictures and their masks, for a whole batch at once, each sample by its own draws.

Mirroring comes first. Every other change of geometry is one affine map from output to input coordinates; the maps of a
sample are multiplied, and the picture is sampled once: bilinearly, its mask by the nearest pixel.

Shapes: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli.data.randomness import Draws
from maecli.modalities.pictures.masks import VOID
from maecli.modalities.pictures.read import GREY
from maecli.schema import AugmentSpec


def crop_boxes(draws: Draws, size: Sequence[int], target: Sequence[int], spec: AugmentSpec) -> Tensor | None:
    """Return the part of each picture (H, W) to cut out for the model's size (h, w); None for no random part.

    Boxes (B, 4) are (top, left, height, width) in shares of the picture; they reach outside where a picture was made
    smaller than the model's size.
    """
    match spec.crop:
        case "random-resized":
            return random_boxes(draws, (size[0], size[1]), spec)
        case "scale-jitter":
            return jitter_boxes(draws, (size[0], size[1]), (target[0], target[1]), spec)
    return None


def jitter_boxes(draws: Draws, size: tuple[int, int], target: tuple[int, int], spec: AugmentSpec) -> Tensor:
    """Return boxes (B, 4) of the model's size in pictures that were scaled by a factor.

    At the factor 1 the picture just covers the model's size; its logarithm is uniform in `jitter_scale`.
    """
    u = draws.uniform("crop", 3)  # (B, 3)
    low, high = (math.log(factor) for factor in spec.jitter_scale)
    cover = max(target[0] / size[0], target[1] / size[1])
    scale = cover * torch.exp(low + u[:, 0] * (high - low))
    height, width = target[0] / (scale * size[0]), target[1] / (scale * size[1])
    return torch.stack([u[:, 1] * (1 - height), u[:, 2] * (1 - width), height, width], dim=1)


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


def augment(
    tensors: dict[str, Tensor], draws: Draws, spec: AugmentSpec, out_size: tuple[int, int], cut: bool = True
) -> dict[str, Tensor]:
    """Return a batch with `image` (B, C, *out_size) and, if there is one, `mask` (B, *out_size) changed.

    Takes `image` (B, C, H, W) float32 in [0, 1] and `mask` (B, H, W) uint8. Outside a picture is 0, outside a mask is
    void. `cut=False` is for samples that were cut, mirrored and recoloured when they were decoded.
    """
    image, mask = tensors["image"], tensors.get("mask")
    boxes = crop_boxes(draws, image.shape[2:], out_size, spec) if cut else None
    if cut and spec.flip:
        mirrored = draws.uniform("flip", 1) < 0.5  # (B, 1)
        image = torch.where(mirrored[:, :, None, None], image.flip(-1), image)
        mask = torch.where(mirrored[:, :, None], mask.flip(-1), mask) if mask is not None else None
        if boxes is not None:  # the part that was meant is now on the other side
            boxes[:, 1] = torch.where(mirrored[:, 0], 1 - boxes[:, 1] - boxes[:, 3], boxes[:, 1])
    if boxes is not None or spec.moves_pixels:
        maps = _affine_maps(draws, out_size, spec)
        if boxes is not None:
            maps = _box_maps(boxes, draws) @ maps
        grid = F.affine_grid(maps[:, :2], [len(image), image.shape[1], *out_size], align_corners=False)
        image = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        mask = _sample_mask(mask, grid) if mask is not None else None
    if cut and spec.color:
        image = recolour(image, draws, spec.color)
    return {**tensors, "image": image, **({"mask": mask} if mask is not None else {})}


def _sample_mask(mask: Tensor, grid: Tensor) -> Tensor:
    """Return (B, h, w) uint8 of a mask (B, H, W): the nearest pixel, void outside."""
    shifted = mask.unsqueeze(1).to(torch.float32) + 1.0  # so that the 0 which fills up is no class
    sampled = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False).squeeze(1)
    return torch.where(sampled == 0.0, VOID, sampled - 1.0).to(torch.uint8)


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
    return (pixels * torch.tensor(GREY, device=pixels.device).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
