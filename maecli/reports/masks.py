"""Masks as a PNG: which patches a model sees, and how often it sees each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.reports.canvas import RULE, SERIES, WIDTH
from maecli.reports.drawings import picture_grid

_COLUMNS = 6  # on the whole width of a page; fewer pictures are not drawn larger
_LONGEST = 150  # PNG pixels of a picture, so that each patch has whole ones
_GAP_FROM = 6  # patches of fewer pixels are drawn without a line between them


def mask_strip(masks: NDArray[Any], mean: NDArray[Any], patch_size: Sequence[int]) -> bytes:
    """Return a PNG of masks (n, H, W), 1 = hidden, one value per patch, and of how often each patch is hidden (H, W).

    Visible patches are blue, hidden ones grey; the mean lies between the two.
    """
    pictures = [_picture(share, patch_size) for share in (*masks, mean)]
    titles = ["masks", *[""] * (len(masks) - 1), "mean"]
    return picture_grid([pictures], titles, max_px=WIDTH * len(pictures) // _COLUMNS)


def _picture(share: NDArray[Any], patch_size: Sequence[int]) -> NDArray[np.uint8]:
    """Return the shares (H, W) at which patches are hidden as colours (3, pixels, pixels)."""
    visible, hidden = (_rgb(colour)[:, None, None] for colour in (SERIES[0], RULE))
    colours = visible + (hidden - visible) * share
    longest = max(cells * patch for cells, patch in zip(share.shape, patch_size, strict=True))
    height, width = (max(1, patch * _LONGEST // longest) for patch in patch_size)
    large = colours.repeat(height, axis=1).repeat(width, axis=2)
    if min(height, width) >= _GAP_FROM:
        large[:, ::height] = large[:, :, ::width] = 255
    return large.round().astype(np.uint8)


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float64)
