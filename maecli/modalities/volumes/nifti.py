"""NIfTI: volumes with their place in space, read in one orientation and written back in their own.

Arrays have the axes to the right, to the front and to the top of a patient (RAS), whatever the order in the file.

Shapes: C channels, D, H, W a volume's size.
"""

from __future__ import annotations

import gzip
import math
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.arrays import as_given, given_dtype

SUFFIXES = (".nii", ".nii.gz")
MAX_VOXELS = 2**28
"""Default bound on C times D times H times W: 1 GiB as float32."""
MAX_NOTES = 2**26
"""Bytes between header and voxels."""
MAX_AFTER = 2**20
"""Bytes behind the voxels that are read to see that the file ends."""
COMPRESSION = 6
"""Of gzip: three times as fast as 9, for files as small within one percent."""


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


@cache
def _nibabel() -> Any:
    """Import nibabel without its remarks about headers, which it prints by itself."""
    import nibabel

    nibabel.imageglobals.logger.disabled = True
    return nibabel


def read_nifti(path: Path, max_voxels: int = MAX_VOXELS) -> np.ndarray:
    """Return the voxels (C, D, H, W) in RAS, scaled as the header says: integers where they stay, else float32.

    Raises `BrokenSample`, or whatever nibabel raises on a damaged file.
    """
    nib = _nibabel()
    header, shape = _header(path, max_voxels)
    given_dtype(header.get_data_dtype(), str(path))
    with _open(path) as file:
        length = header.get_data_offset() + math.prod(shape) * header.get_data_dtype().itemsize
        content = file.read(length)
        file.read(MAX_AFTER)  # at the end gzip compares its checksum
    if len(content) < length:
        raise BrokenSample(str(path), "truncated file")
    image = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    stored = image.from_bytes(content).dataobj
    unscaled = (stored.slope, stored.inter) == (1, 0)
    values = stored.get_unscaled() if unscaled else np.asarray(stored, np.float32)
    values = as_given(values.reshape(shape), given_dtype(values.dtype, str(path)))
    return np.ascontiguousarray(np.moveaxis(nib.apply_orientation(values, _orientation(header, path)), 3, 0))


def nifti_shape(path: Path, max_voxels: int = MAX_VOXELS) -> tuple[int, ...]:
    """Return C, D, H, W in RAS of what `read_nifti` returns, of the header alone. Raises as it does."""
    header, shape = _header(path, max_voxels)
    order = _orientation(header, path)[:, 0].astype(int).tolist()
    return shape[3], *(shape[order.index(axis)] for axis in range(3))


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _orientation(header: Any, path: Path) -> np.ndarray:
    """Return which axis of RAS each axis of the file is, and 1 or -1 for its direction (3, 2)."""
    affine = header.get_best_affine()
    directions: np.ndarray = _nibabel().io_orientation(affine) if np.isfinite(affine).all() else np.array([np.nan])
    if np.isnan(directions).any():
        raise BrokenSample(str(path), "damaged file: its header gives an axis no direction in space")
    return directions


def _header(path: Path, max_voxels: int) -> tuple[Any, tuple[int, int, int, int]]:
    """Return a header that asks for no more than is bearable, and D, H, W, C as they are in the file."""
    nib = _nibabel()
    with _open(path) as file:
        start = file.read(nib.Nifti2Header.template_dtype.itemsize)
    kind = next((kind for kind in (nib.Nifti1Header, nib.Nifti2Header) if kind.may_contain_header(start)), None)
    if kind is None:
        raise BrokenSample(str(path), "is no NIfTI file")
    header = kind(start[: kind.template_dtype.itemsize])
    shape = header.get_data_shape()
    if len(shape) == 5 and shape[3] == 1:  # vectors stand in the fifth axis, after time
        shape = (*shape[:3], shape[4])
    if len(shape) not in (3, 4):
        raise BrokenSample(str(path), f"has the shape {shape}; a volume has three axes, and channels as a fourth")
    if min(shape) < 1:
        raise BrokenSample(str(path), "has no voxels")
    if math.prod(shape) > max_voxels:
        raise BrokenSample(str(path), f"has {math.prod(shape):,} voxels, more than {max_voxels:,}")
    if not 0 <= float(header["vox_offset"]) <= MAX_NOTES:
        raise BrokenSample(str(path), f"damaged file: has over {MAX_NOTES:,} bytes between header and voxels")
    return header, (shape[0], shape[1], shape[2], shape[3] if len(shape) == 4 else 1)


def nifti_bytes(values: np.ndarray, source: Path | None = None) -> bytes:
    """Return a `.nii.gz` of values (C, D, H, W) in RAS; the same values give the same bytes.

    With a NIfTI file as `source` it takes over its header and orientation, so that it lies on it. Values of another
    size cover the same space. Raises as `read_nifti` does on a damaged source.
    """
    nib = _nibabel()
    voxels = np.moveaxis(values, 0, 3)  # (D, H, W, C)
    voxels = voxels.astype(given_dtype(values.dtype, "values"), copy=False)
    affine, header = np.eye(4), None
    if source is not None:
        header, shape = _header(source, MAX_VOXELS)
        ras, own = np.array([[0, 1], [1, 1], [2, 1]]), _orientation(header, source)
        voxels = nib.apply_orientation(voxels, nib.orientations.ornt_transform(ras, own))
        affine = _affine_of(header.get_best_affine(), shape[:3], voxels.shape[:3])
    result = nib.Nifti1Image(voxels[..., 0] if voxels.shape[3] == 1 else voxels, affine, header)
    result.header["cal_min"] = result.header["cal_max"] = 0  # the range that viewers show was that of the source
    result.set_data_dtype(voxels.dtype)
    return gzip.compress(result.to_bytes(), COMPRESSION, mtime=0)


def _affine_of(affine: np.ndarray, shape: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """Return the affine of voxels of another number, which cover the space that those of `shape` do."""
    scale = np.array(shape) / np.array(size)
    resized = np.diag([*scale, 1.0])
    resized[:3, 3] = (scale - 1) / 2  # the edges stay where they are, not the middles of the first voxels
    return affine @ resized
