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
LARGEST = 256
"""Pixels of the longest side of a volume that is drawn in its true proportions."""


def draw_volume(image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
    """Return a drawing (3, h, w) of a volume (C, D, H, W) from the right, the front and the top, side by side.

    These are the sagittal, coronal and axial slice of a volume in RAS; the last axis of each points up. Three channels
    are RGB, of others the first is grey. A missing voxel is hatched, a hidden one (D, H, W) veiled.
    """
    factor = -(-SMALLEST // max(image.shape[1:]))
    slices = []
    for axis, length in enumerate(image.shape[1:]):
        plane = _upright(_seen(image).take(length // 2, axis + 1), factor)
        plane = plane.repeat(3 // len(plane), axis=0)
        rgb = hatched(np.clip(np.nan_to_num(plane), 0, 1), np.isnan(plane).any(0))
        if hidden is not None:
            rgb = veiled(rgb, _upright(hidden.take(length // 2, axis), factor))
        slices.append(rgb)
    return _side_by_side(slices, 1.0).astype(np.float32)


def draw_slices(
    image: np.ndarray, masks: Sequence[np.ndarray], fill: int, lengths: Sequence[float], shows: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a drawing (3, h, w) of a volume (C, D, H, W) as that of `draw_volume`, and masks on it (h, w).

    Image and masks cover the same space with any number of voxels; its `lengths` are those of the drawing. Slices go
    through the middle of what `shows` (D, H, W) marks, or of the volume where it marks nothing. Beside the slices masks
    are `fill`.
    """
    scale = LARGEST / max(lengths)
    pixels = [max(1, round(length * scale)) for length in lengths]
    middle = _middle(shows)
    slices = [np.clip(np.nan_to_num(_slice(_seen(image), axis, middle, pixels)), 0, 1) for axis in range(3)]
    picture = _side_by_side([plane.repeat(3 // len(plane), axis=0) for plane in slices], 1.0)
    laid = [_side_by_side([_slice(mask[None], axis, middle, pixels) for axis in range(3)], fill)[0] for mask in masks]
    return picture.astype(np.float32), laid


def _seen(image: np.ndarray) -> np.ndarray:
    """Return the channels of a volume (C, D, H, W) that are drawn, without a copy: three as colours, else one."""
    return image if len(image) == 3 else image[:1]


def _middle(shows: np.ndarray) -> list[float]:
    """Return where the middle of what is marked lies along each axis, from 0 to 1."""
    middle = []
    for axis, length in enumerate(shows.shape):
        there = np.flatnonzero(shows.any(tuple(other for other in range(3) if other != axis)))
        middle.append((int(there[0]) + int(there[-1]) + 1) / 2 / length if len(there) else 0.5)
    return middle


def _slice(volume: np.ndarray, axis: int, middle: Sequence[float], pixels: Sequence[int]) -> np.ndarray:
    """Return the slice (C, h, w) of a volume (C, D, H, W) across an axis, of so many pixels: the nearest voxels."""
    plane = volume.take(int(middle[axis] * volume.shape[axis + 1]), axis + 1)
    sizes = [size for other, size in enumerate(pixels) if other != axis]
    for at, (size, length) in enumerate(zip(sizes, plane.shape[1:], strict=True), start=1):
        plane = plane.take((2 * np.arange(size) + 1) * length // (2 * size), at)
    return _upright(plane, 1)


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
