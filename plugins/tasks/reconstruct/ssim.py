"""Structural similarity of pictures.

Shapes: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def ssim_map(x: Tensor, y: Tensor, sigma: float = 1.5) -> Tensor:
    """Return the structural similarity (B, C, H, W) of pictures x and y in [0, 1], at every pixel.

    Gaussian windows of 11 pixels at sigma 1.5, reflected at the border; K1 = 0.01, K2 = 0.03.
    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13.
    Raises ValueError for pictures narrower than 6 pixels, which the window does not fit.
    """
    radius = int(3.5 * sigma + 0.5)
    if min(x.shape[-2:]) <= radius:
        raise ValueError(f"SSIM needs pictures of more than {radius} pixels a side, not {tuple(x.shape[-2:])}")
    # Variances are small differences of large numbers: bfloat16 and TF32 would leave nothing of them.
    precise = torch.float64 if x.device.type == "cuda" else torch.float32
    with torch.autocast(x.device.type, enabled=False):
        x, y = x.to(precise), y.to(precise)
        down, across = (_blur_matrix(length, sigma, radius, x.dtype, x.device) for length in x.shape[-2:])

        def blur(picture: Tensor) -> Tensor:
            return down @ picture @ across.T

        mean_x, mean_y = blur(x), blur(y)
        var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return similarity.to(torch.float32)


@functools.lru_cache(maxsize=16)
def _blur_matrix(length: int, sigma: float, radius: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (length, length) that blurs a line by a Gaussian, reflected at both ends.

    As a product it is many times as fast as a convolution with one channel. It is made once for each device.
    """
    offsets = torch.arange(-radius, radius + 1)
    window = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    source = (torch.arange(length).unsqueeze(1) + offsets).abs()  # (length, 2 * radius + 1)
    source = torch.where(source < length, source, 2 * (length - 1) - source)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, source, (window / window.sum()).expand(length, -1)).to(device, dtype)
