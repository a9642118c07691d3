"""NIfTI: volumes with their place in space, read in one orientation and written back in their own.

Arrays have the axes to the right, to the front and to the top of a patient (RAS), whatever the order in the file.

Shapes: C channels, D, H, W a volume's size.
"""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from maecli.errors import BrokenSample
from maecli.modalities.arrays import as_given, given_dtype

SUFFIXES = (".nii", ".nii.gz")
MAX_VOXELS = 2**28
"""Default bound on C times D times H times W: 1 GiB as float32."""
MAX_NOTES = 2**26
"""Bytes between header and voxels."""
MAX_AFTER = 2**20
"""Bytes behind the voxels that are read to see that the file ends."""
CONTRADICTION = 0.5
"""Voxels by which qform and sform place a corner apart, at most, without contradicting each other."""
PART = 2**24
"""Bytes that are read at once."""
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
        content = _first_bytes(file, length)
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


def corners_apart(one: NDArray[np.float64], other: NDArray[np.float64], size: Sequence[int]) -> float:
    """Return by how many mm, at most, two affines (4, 4) place a corner of a volume of this size apart."""
    ends = np.array(np.meshgrid(*[(0, length) for length in size], [1])).reshape(4, -1)
    return float(np.linalg.norm((one - other)[:3] @ ends, axis=0).max())


class Place(NamedTuple):
    """Where a file says that its voxels lie, and what it says of their values."""

    affine: NDArray[np.float64]
    """From voxels in RAS to mm (4, 4)."""
    orientation: str
    """Where the axes go in the file, such as LPS."""
    integers: bool
    notes: tuple[str, ...]


def nifti_place(path: Path, max_voxels: int = MAX_VOXELS) -> Place:
    """Return what the header of a file says. Raises as `read_nifti` does."""
    nib = _nibabel()
    header, shape = _header(path, max_voxels)
    orientation, affine = _orientation(header, path), header.get_best_affine()
    to_file = nib.orientations.inv_ornt_aff(orientation, shape[:3])
    slope, inter = header.get_slope_inter()
    whole = all(number is None or float(number).is_integer() for number in (slope, inter))
    integers = whole and given_dtype(header.get_data_dtype(), str(path)) != "float32"
    letters = "".join(nib.orientations.ornt2axcodes(orientation))
    return Place(affine @ to_file, letters, integers, tuple(_odd(header, shape[:3])))


def _odd(header: Any, size: tuple[int, ...]) -> Iterator[str]:
    """Yield what a header leaves open, or says twice and not the same."""
    (qform, by_q), (sform, by_s) = header.get_qform(coded=True), header.get_sform(coded=True)
    if not by_q and not by_s:
        yield "its header does not say how it lies (neither qform nor sform): its axes count as right, front and top"
    if by_q and by_s:
        apart = corners_apart(qform, sform, size)
        if apart > CONTRADICTION * float(min(header.get_zooms()[:3])):
            yield f"its qform and sform contradict each other by up to {apart:.1f} mm: the sform counts"


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _first_bytes(file: BinaryIO, num: int) -> bytes:
    """Return so many bytes, or all that are there, in memory for no more than these."""
    buffer = io.BytesIO()
    while buffer.tell() < num and (part := file.read(min(PART, num - buffer.tell()))):
        buffer.write(part)
    return buffer.getvalue()


def _orientation(header: Any, path: Path) -> np.ndarray:
    """Return which axis of RAS each axis of the file is, and 1 or -1 for its direction (3, 2)."""
    affine = header.get_best_affine()
    with np.errstate(over="ignore"):
        finite = np.isfinite(affine).all() and np.isfinite(np.linalg.norm(affine, axis=0)).all()
    directions: np.ndarray = _nibabel().io_orientation(affine) if finite else np.array([np.nan])
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
    if header.get_data_dtype().names:
        colours = ", ".join(header.get_data_dtype().names)
        raise BrokenSample(str(path), f"holds colours ({colours}), and a volume a number for each voxel")
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


class Lying(Protocol):
    """What lies somewhere: a volume (D, H, W) in RAS."""

    @property
    def affine(self) -> NDArray[np.float64] | None: ...

    @property
    def size(self) -> tuple[int, ...]: ...


def nifti_bytes(values: np.ndarray, source: Path | None = None, lies: Lying | None = None) -> bytes:
    """Return a `.nii.gz` of values (C, D, H, W) in RAS; the same values give the same bytes.

    With a NIfTI file as `source` it takes over its header and orientation, so that it lies on it. Values of another
    size cover the same space. Where the source is no NIfTI, `lies` says where. Raises as `read_nifti` does on a
    damaged source.
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
    elif lies is not None and lies.affine is not None:
        affine = _affine_of(lies.affine, lies.size, voxels.shape[:3])
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
