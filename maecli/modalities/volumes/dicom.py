"""DICOM: the slices of a series, a file each in one folder, read as one volume. Needs pydicom.

A series is named by the first of its files. Axes of a volume go to the right, front and top (RAS); patient coordinates
of DICOM go to the left, back and top.

Shapes: D, H, W a volume's size.
"""

from __future__ import annotations

import io
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maecli.errors import BrokenSample

SUFFIXES = (".dcm", ".dicom", ".ima")
UNEVEN = 0.1
"""Share of the usual distance by which one between two slices may differ."""
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
GEOMETRY = ("SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
            "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "RescaleSlope", "RescaleIntercept")  # fmt: skip
MAX_INFLATED = 2**28
"""Bytes that a deflated slice may become; one of 8,192 × 8,192 pixels is half of it."""


def is_dicom(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def first_slices(root: Path, keys: Sequence[str]) -> list[str]:
    """Return which of some slices below a root stand for their series: the first of each folder and series by name.

    One that cannot be read stands for itself, so that reading it says why.
    """
    firsts: dict[tuple[str, str], str] = {}
    for key in sorted(keys):
        try:
            series = _series_of(_head(root / key))
        except BrokenSample:
            series = key
        firsts.setdefault((key.rpartition("/")[0], series), key)
    return sorted(firsts.values())


def dicom_shape(path: Path, max_voxels: int) -> tuple[int, ...]:
    """Return 1, D, H, W in RAS of the series of a slice. Raises `BrokenSample`."""
    return 1, *dicom_place(path, max_voxels).size


class Place(NamedTuple):
    """Where slices say that their voxels lie, and what they say of their values."""

    size: tuple[int, ...]
    """D, H, W."""
    affine: NDArray[np.float64]
    """From voxels in RAS to mm (4, 4)."""
    orientation: str
    """Where the axes go in the files, such as LPS."""
    integers: bool


def dicom_place(path: Path, max_voxels: int) -> Place:
    """Return what the headers of the series of a slice say, each read once. Raises `BrokenSample`."""
    slices, affine, size = _place(path, max_voxels)
    axes = _turning().io_orientation(affine)
    order = axes[:, 0].astype(int).tolist()
    return Place(
        size=tuple(size[order.index(axis)] for axis in range(3)),
        affine=affine @ _turning().inv_ornt_aff(axes, size),
        orientation="".join(_turning().ornt2axcodes(axes)),
        integers=all(float(number).is_integer() for head in slices.values() for number in _scale(head)),
    )


def read_dicom(path: Path, max_voxels: int) -> np.ndarray:
    """Return the values (1, D, H, W) in RAS of the series of a slice, scaled as headers say. Raises `BrokenSample`."""
    slices, affine, size = _place(path, max_voxels)
    planes = []
    for each in slices:
        try:
            data = _read(each)
            plane = np.asarray(data.pixel_array)
        except Exception as error:  # decoders raise almost anything
            raise BrokenSample(str(path), f"its slice {each.name} cannot be decoded ({_first_line(error)})") from error
        slope, intercept = _scale(data)
        planes.append(plane.T * np.float32(slope) + np.float32(intercept))
    values = np.stack(planes, axis=2)
    if values.shape != size:
        raise BrokenSample(str(path), f"its slices have other sizes than their headers say ({values.shape})")
    return np.ascontiguousarray(_turning().apply_orientation(values, _turning().io_orientation(affine)))[None]


def _turning() -> Any:
    """Import what nibabel knows of orders of axes, which takes a while."""
    from nibabel import orientations

    return orientations


class _Slice(io.BufferedReader):
    """An opened file whose rest may be inflated: pydicom reads all of it at once to do that, and for nothing else."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is None or size < 0:
            inflating = zlib.decompressobj(-zlib.MAX_WBITS)
            inflating.decompress(data, MAX_INFLATED)
            if inflating.unconsumed_tail:
                raise BrokenSample(self.name, f"becomes more than {MAX_INFLATED:,} bytes when it is inflated")
        return data


def _read(path: Path, **how: Any) -> Any:
    """Return what pydicom reads of a file. Raises BrokenSample, OSError, and almost anything for damaged ones."""
    pydicom = _pydicom(path)
    with _Slice(io.FileIO(path)) as file:
        return pydicom.dcmread(file, **how)


def _pydicom(path: Path) -> Any:
    try:
        import pydicom
    except ImportError as error:
        reason = "is DICOM, which needs the extra dicom: pip install 'maecli[dicom]', or pydicom"
        raise BrokenSample(str(path), reason) from error
    return pydicom


def _head(path: Path) -> Any:
    """Return the geometry in the header of a slice. Raises `BrokenSample`."""
    try:
        return _read(path, stop_before_pixels=True, specific_tags=list(GEOMETRY))
    except (OSError, BrokenSample):
        raise
    except Exception as error:
        raise BrokenSample(str(path), f"is no DICOM file ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _series_of(head: Any) -> str:
    return str(head.get("SeriesInstanceUID", ""))


def _scale(head: Any) -> tuple[float, float]:
    return float(head.get("RescaleSlope", 1) or 1), float(head.get("RescaleIntercept", 0) or 0)


def _place(path: Path, max_voxels: int) -> tuple[dict[Path, Any], NDArray[np.float64], tuple[int, int, int]]:
    """Return the headers of a series in the order of its slices, its affine to RAS, and columns, rows and slices.

    Source: DICOM PS3.3, C.7.6.2.1.1, equation C.7.6.2.1-1, and nibabel's notes on the same.
    """
    first = _head(path)
    series = _series_of(first)
    heads = {each: _head(each) for each in sorted(path.parent.iterdir()) if is_dicom(each) and each.is_file()}
    heads = {each: head for each, head in heads.items() if _series_of(head) == series}
    _check_alike(path, heads)
    along_row, along_column = (np.array(first.ImageOrientationPatient[i : i + 3], float) for i in (0, 3))
    normal = np.cross(along_row, along_column)
    positions = {each: np.array(head.ImagePositionPatient, float) for each, head in heads.items()}
    order = sorted(heads, key=lambda each: float(positions[each] @ normal))
    step = _step(path, [positions[each] for each in order], normal, float(first.get("SliceThickness", 0) or 1))
    rows_apart, columns_apart = map(float, first.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = along_row * columns_apart, along_column * rows_apart, step
    affine[:3, 3] = positions[order[0]]
    size = int(first.Columns), int(first.Rows), len(order)
    if np.prod(size) > max_voxels:
        raise BrokenSample(str(path), f"has {int(np.prod(size)):,} voxels, more than {max_voxels:,}")
    return {each: heads[each] for each in order}, TO_RAS @ affine, size


def _check_alike(path: Path, heads: dict[Path, Any]) -> None:
    """Raise `BrokenSample` for slices that make no volume."""
    kinds = defaultdict(list)
    for each, head in heads.items():
        if lacking := [name for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows")
                       if head.get(name) is None]:  # fmt: skip
            raise BrokenSample(str(path), f"its slice {each.name} does not say its {lacking[0]}")
        if int(head.get("SamplesPerPixel", 1) or 1) != 1:
            raise BrokenSample(str(path), "holds colours, and a volume a number for each voxel")
        if int(head.get("NumberOfFrames", 1) or 1) != 1:
            raise BrokenSample(str(path), f"its slice {each.name} holds several frames; save each as a file of its own")
        directions = tuple(round(float(number), 3) for number in head.ImageOrientationPatient)
        kinds[int(head.Rows), int(head.Columns), directions].append(each.name)
    if len(kinds) > 1:
        raise BrokenSample(str(path), f"its slices differ in size or direction, as {[*kinds.values()][1][0]} does")


def _step(path: Path, positions: Sequence[NDArray[np.float64]], normal: NDArray[np.float64], thick: float) -> Any:
    """Return the vector from a slice to the next (3,). Raises `BrokenSample` where one is missing or there twice."""
    if len(positions) == 1:
        return normal * thick
    distances = np.diff([float(position @ normal) for position in positions])
    usual = float(np.median(distances))
    strange = np.flatnonzero(np.abs(distances - usual) > UNEVEN * max(usual, 1e-3))
    if len(strange):
        what = "one is missing" if distances[strange[0]] > usual else "one is there twice"
        raise BrokenSample(
            str(path), f"its slices lie {usual:.3g} mm apart, and two {distances[strange[0]]:.3g}: {what}"
        )
    step: NDArray[np.float64] = (positions[-1] - positions[0]) / (len(positions) - 1)
    return step
