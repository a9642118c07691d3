"""Masks as a PNG: which patches a model sees, and how often it sees each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maecli import api

WIDTH, COLUMNS = 1040, 6
"""PNG pixels of a strip that fills a page, and its pictures; fewer are not drawn larger."""
LONGEST = 150
"""PNG pixels of a picture, so that each patch has whole ones."""
GAP_FROM = 6
"""Patches of fewer pixels are drawn without a line between them."""
VISIBLE, HIDDEN = (np.array(colour, np.float64)[:, None, None] for colour in ((0, 114, 178), (213, 217, 222)))
"""Blue and grey (3, 1, 1) RGB."""


def mask_strip(masks: NDArray[Any], mean: NDArray[Any], patch_size: Sequence[int]) -> bytes:
    """Return a PNG of masks (n, H, W), 1 = hidden, one value per patch, and of how often each patch is hidden (H, W).

    Visible patches are blue, hidden ones grey; the mean lies between the two.
    """
    pictures = [_picture(share, patch_size) for share in (*masks, mean)]
    titles = ["masks", *[""] * (len(masks) - 1), "mean"]
    return api.draw.picture_grid([pictures], titles, max_px=WIDTH * len(pictures) // COLUMNS)


def drawn_masks(preprocess: api.Preprocess, masks: Tensor, mean: Tensor, patch_size: Sequence[int]) -> bytes:
    """Return a PNG of masks (n, *G), 1 = hidden, as samples of this kind are drawn, and of their mean (*G)."""
    hidden, shares = (_cells(each, patch_size) for each in (masks, mean.unsqueeze(0)))
    pictures = preprocess.draw(torch.zeros_like(hidden).unsqueeze(1), hidden=hidden > 0)
    pictures += preprocess.draw(shares.unsqueeze(1))
    return api.draw.contact_sheet(pictures, [f"mask {number}" for number in range(1, len(pictures))] + ["mean"])


def _cells(shares: Tensor, patch_size: Sequence[int]) -> Tensor:
    """Return a value per patch (n, *G) as one per cell (n, *S)."""
    for axis, size in enumerate(patch_size, start=1):
        shares = shares.repeat_interleave(size, axis)
    return shares


def _picture(share: NDArray[Any], patch_size: Sequence[int]) -> NDArray[np.uint8]:
    """Return the shares (H, W) at which patches are hidden as colours (3, pixels, pixels)."""
    colours = VISIBLE + (HIDDEN - VISIBLE) * share
    longest = max(cells * patch for cells, patch in zip(share.shape, patch_size, strict=True))
    height, width = (max(1, patch * LONGEST // longest) for patch in patch_size)
    large = colours.repeat(height, axis=1).repeat(width, axis=2)
    if min(height, width) >= GAP_FROM:
        large[:, ::height] = large[:, :, ::width] = 255
    return large.round().astype(np.uint8)
