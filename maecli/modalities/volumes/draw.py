"""A volume as its middle slices in three planes.

Shapes: C channels, D, H, W a volume's size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maecli.modalities.drawing import hatched, veiled

GAP = 4
"""White pixels between two slices."""
SMALLEST = 64
"""Pixels that the longest side has at least: each voxel becomes so many that it is seen."""


def draw_volume(image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
    """Return a drawing (3, h, w) of a volume (C, D, H, W) from the right, the front and the top, side by side.

    These are the sagittal, coronal and axial slice of a volume in RAS; the last axis of each points up. Three channels
    are RGB, of others the first is grey. A missing voxel is hatched, a hidden one (D, H, W) veiled.
    """
    colours = image[:3] if len(image) == 3 else np.repeat(image[:1], 3, axis=0)
    factor = -(-SMALLEST // max(image.shape[1:]))
    slices = []
    for axis, length in enumerate(image.shape[1:]):
        plane = _upright(colours.take(length // 2, axis + 1), factor)
        rgb = hatched(np.clip(np.nan_to_num(plane), 0, 1), np.isnan(plane).any(0))
        if hidden is not None:
            rgb = veiled(rgb, _upright(hidden.take(length // 2, axis), factor))
        slices.append(rgb)
    return _side_by_side(slices, 1.0).astype(np.float32)


def draw_mask(mask: np.ndarray, void: int) -> np.ndarray:
    """Return the numbers (h, w) of a mask (D, H, W) that lie on what `draw_volume` draws, void beside the slices."""
    factor = -(-SMALLEST // max(mask.shape))
    return _side_by_side([_upright(mask.take(n // 2, axis), factor)[None] for axis, n in enumerate(mask.shape)], void)[
        0
    ]


def _side_by_side(slices: Sequence[np.ndarray], fill: float) -> np.ndarray:
    """Return slices (C, h, w) of different sizes as one drawing."""
    height = max(plane.shape[1] for plane in slices)
    return np.concatenate([_framed(plane, height, fill) for plane in slices], axis=2)[:, :, :-GAP]


def _upright(plane: np.ndarray, factor: int) -> np.ndarray:
    """Return a plane (…, a, b) enlarged, as (…, b, a) with b from the bottom to the top."""
    turned = np.flip(np.swapaxes(plane, -1, -2), -2)
    return turned.repeat(factor, axis=-1).repeat(factor, axis=-2)


def _framed(plane: np.ndarray, height: int, fill: float) -> np.ndarray:
    """Return a slice in the middle of a frame of this height, with a gap on its right."""
    above = (height - plane.shape[1]) // 2
    below = height - plane.shape[1] - above
    return np.pad(plane, ((0, 0), (above, below), (0, GAP)), constant_values=fill)
