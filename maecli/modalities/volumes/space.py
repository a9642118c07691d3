"""Where the voxels of a file lie, from its header alone.

Shapes: C channels, D, H, W a volume's size, to the right, front and top.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.arrays import given_dtype, npy_header
from maecli.modalities.files import reading
from maecli.modalities.volumes.dicom import dicom_place, is_dicom
from maecli.modalities.volumes.nifti import MAX_VOXELS, corners_apart, is_nifti, nifti_place
from maecli.modalities.volumes.read import volume_shape


@dataclass(frozen=True, eq=False)
class Space:
    """What a header says."""

    channels: int
    size: tuple[int, ...]
    """D, H, W."""
    integers: bool
    """Whether values are whole, as they are read."""
    affine: NDArray[np.float64] | None = None
    """From voxels (D, H, W) to mm in RAS (4, 4); None for an array, which lies nowhere."""
    orientation: str = ""
    """Where the axes go in the file, such as LPS."""
    notes: tuple[str, ...] = ()
    """What is odd of it, as sentences without a subject and without a full stop."""

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Return mm from voxel to voxel along each axis."""
        return None if self.affine is None else tuple(np.linalg.norm(self.affine[:3, :3], axis=0).tolist())

    def apart(self, other: Space) -> float:
        """Return how far, at most, the corners of this volume lie in that one's space, in its smallest voxel."""
        if self.affine is None or other.affine is None or self.spacing is None:
            return 0.0
        return corners_apart(self.affine, other.affine, self.size) / min(self.spacing)


def read_space(path: Path, max_voxels: int = MAX_VOXELS) -> Space:
    """Return what the header of a NIfTI file or an array says. Raises `BrokenSample`."""
    with reading(path):
        if is_dicom(path):
            found = dicom_place(path, max_voxels)
            return Space(1, found.size, found.integers, found.affine, found.orientation)
        channels, *size = volume_shape(path, max_voxels)
        if not is_nifti(path):
            with path.open("rb") as file:
                _, dtype = npy_header(file)
            return Space(channels, tuple(size), given_dtype(dtype, str(path)) != "float32")
        place = nifti_place(path, max_voxels)
        return Space(channels, tuple(size), place.integers, place.affine, place.orientation, place.notes)
