"""Volumes in files: NIfTI, or arrays (D, H, W) and (C, D, H, W).

Shapes: C channels, D, H, W a volume's size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.arrays import npy_shape, read_npy
from maecli.modalities.files import Files, named, reading
from maecli.modalities.volumes.dicom import dicom_shape, is_dicom, read_dicom
from maecli.modalities.volumes.nifti import MAX_VOXELS, is_nifti, nifti_shape, read_nifti
from maecli.text import number_of


def read_volume(path: Path, channels: int, dtype: str, max_voxels: int = MAX_VOXELS) -> np.ndarray:
    """Return a volume (C, D, H, W) in `dtype`, or in float32 where an integer dtype cannot hold it; NaN is missing.

    Raises `BrokenSample` if the file is damaged, too large, or has other channels.
    """
    with reading(path):
        return in_dtype(read_values(path, channels, max_voxels), dtype)


def read_values(path: Path, channels: int, max_voxels: int = MAX_VOXELS) -> np.ndarray:
    """Return a volume (C, D, H, W) as it is stored, in a dtype of `given_dtype`. Raises as `read_volume` does."""
    with reading(path):
        _check_channels(path, volume_shape(path, max_voxels)[0], channels)
        read = read_nifti if is_nifti(path) else read_dicom if is_dicom(path) else read_npy
        values = read(path, max_voxels)
        values = values[None] if values.ndim == 3 else values
        if values.dtype.kind == "f" and np.isinf(values).any():
            raise BrokenSample(str(path), "holds infinite values")
        return values


def volume_shape(path: Path, max_voxels: int = MAX_VOXELS) -> tuple[int, ...]:
    """Return C, D, H, W of a file's header. Raises `BrokenSample`."""
    with reading(path):
        if is_nifti(path):
            return nifti_shape(path, max_voxels)
        if is_dicom(path):
            return dicom_shape(path, max_voxels)
        shape = npy_shape(path)
        if len(shape) not in (3, 4):
            raise BrokenSample(str(path), f"has the shape {shape}; a volume is (D, H, W) or (C, D, H, W)")
        if min(shape) < 1:
            raise BrokenSample(str(path), "has no voxels")
        return shape if len(shape) == 4 else (1, *shape)


def _check_channels(path: Path, found: int, channels: int) -> None:
    if found != channels:
        several = "; the fourth axis of a volume holds its channels" if found > 1 else ""
        wanted = f"{channels} {'is' if channels == 1 else 'are'} wanted"
        raise BrokenSample(str(path), f"has {number_of(found, 'channel')}, and {wanted}{several}")


def in_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return values in `dtype` if it holds each of them, floats perhaps with less precision; else as float32."""
    if np.dtype(dtype).kind in "iu" and values.dtype != dtype:
        limits = np.iinfo(dtype)
        inside = limits.min <= values.min() and values.max() <= limits.max  # false where any is NaN
        if not inside or (values.dtype.kind == "f" and (values != np.rint(values)).any()):
            dtype = "float32"
    return values.astype(dtype, copy=False)


class VolumeFiles(Files):
    """Volumes, a file each, whose sizes stand in their heads."""

    def size(self, index: int) -> tuple[int, ...]:
        key = self.keys[index]
        with named(key):
            return volume_shape(self.root / key)[1:]
