"""How far the surfaces of a predicted and a true class lie apart.

Shapes: D, H, W a volume's size, P voxels of one surface.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PERCENT = 95
"""Of the distances, which percentile is taken: the farthest of all hangs on a single voxel."""


def hausdorff95(truth: NDArray[np.bool_], guess: NDArray[np.bool_], spacing: Sequence[float]) -> float:
    """Return the 95% Hausdorff distance of two masks (D, H, W), in the unit of `spacing`; NaN where one is empty.

    It is the greater of two 95th percentiles: of how far the surface voxels of each mask lie from the other's surface.
    A voxel is of the surface that shares a face with one outside, or with the end of the volume.
    Source: Huttenlocher et al. 1993, IEEE TPAMI 15, p. 850; as a percentile in BraTS, arXiv:1811.02629. Equal to
    MONAI's `compute_hausdorff_distance(percentile=95)`.
    """
    if not truth.any() or not guess.any():
        return float("nan")
    box = _bounding_box(truth | guess)
    one, other = _surface(truth[box]), _surface(guess[box])
    return max(_percentile(one, other, spacing), _percentile(other, one, spacing))


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box that holds all of a mask; no distance between surfaces depends on what is outside."""
    axes = range(mask.ndim)
    sides = [np.flatnonzero(mask.any(tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(int(side[0]), int(side[-1]) + 1) for side in sides)


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion  # type: ignore[import-untyped]  # slow to import, and only needed here

    return np.asarray(mask & ~binary_erosion(mask))


def _percentile(surface: NDArray[np.bool_], other: NDArray[np.bool_], spacing: Sequence[float]) -> float:
    """Return the 95th percentile of the distances of a surface's voxels (P,) to the nearest one of the other's."""
    from scipy.ndimage import distance_transform_edt

    distances = distance_transform_edt(~other, sampling=tuple(spacing))[surface]
    return float(np.percentile(distances, PERCENT))
