"""From the files of a volume to a sample: in RAS, with the values and the spacing that a data set has.

Shapes: C channels, D, H, W a volume's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maecli.data.sample import Sample
from maecli.data.volume_reading import Spacing, VolumeReading
from maecli.errors import BrokenSample
from maecli.modalities.boxes import whole
from maecli.modalities.files import reading as decoding
from maecli.modalities.fit import fit
from maecli.modalities.volumes.intensity import in_range
from maecli.modalities.volumes.nifti import MAX_VOXELS
from maecli.modalities.volumes.read import in_dtype, read_values
from maecli.modalities.volumes.space import Space, read_space

ALIKE = 0.5
"""Voxels by which a corner of two volumes may lie apart that belong together."""
LONGEST = 2.0**31
"""Voxels along an axis, however far apart a header says that a file's lie."""


def resampled_size(space: Space, spacing: Spacing | None) -> tuple[int, ...]:
    """Return the size (D, H, W) that a volume has at a spacing: it covers the same space, to half a voxel."""
    if spacing is None or space.spacing is None:
        return space.size
    lengths = zip(space.size, space.spacing, spacing, strict=True)
    return tuple(max(1, round(min(length * own / new, LONGEST))) for length, own, new in lengths)


def _too_far(space: Space, num: int) -> str:
    spacing = " × ".join(f"{length:.3g}" for length in space.spacing or ())
    return (
        f"has {num:,} voxels at the spacing of the others, more than {MAX_VOXELS:,}; its header says {spacing} mm from "
        "voxel to voxel"
    )


def same_place(one: Space, other: Space, names: tuple[str, str]) -> str:
    """Return why two volumes do not lie on each other, in words; nothing where they do."""
    if one.size != other.size:
        sizes = (" × ".join(map(str, space.size)) for space in (one, other))
        return "{} has {} voxels and {} {}".format(*(part for pair in zip(names, sizes, strict=True) for part in pair))
    if (apart := one.apart(other)) > ALIKE:
        return f"{names[0]} and {names[1]} lie {apart:.1f} voxels apart by their headers"
    return ""


def read_channels(paths: Sequence[Path], channels: int) -> tuple[np.ndarray, Space]:
    """Return the values (C, D, H, W) of the files of one volume, a channel each or all in one, and where they lie.

    Raises `BrokenSample` for what is damaged, and for files that do not lie on each other.
    """
    spaces = [read_space(path) for path in paths]
    for path, space in zip(paths[1:], spaces[1:], strict=True):
        if why := same_place(space, spaces[0], (path.name, paths[0].name)):
            raise BrokenSample(str(path), why)
    parts = [read_values(path, channels if len(paths) == 1 else 1) for path in paths]
    if len(parts) != 1 and len(parts) != channels:
        raise BrokenSample(str(paths[0]), f"has {len(parts)} channels, and {channels} are wanted")
    return np.concatenate(parts) if len(parts) > 1 else parts[0], spaces[0]


def read_prepared(
    paths: Sequence[Path], reading: VolumeReading, channels: int, dtype: str, mask: np.ndarray | None = None
) -> Sample:
    """Return a sample of one volume: `image` (C, D, H, W), NaN where nothing is known, and `mask` (D, H, W) if given.

    Beside stands what it was in its file: `own_size`, `own_spacing` in mm and `own_mask`.
    Values are interpolated linearly, antialiased where voxels become larger; of a mask the nearest voxel is taken.
    Raises `BrokenSample`.
    """
    values, space = read_channels(paths, channels)
    with decoding(paths[0]):
        sample = {"image": in_dtype(in_range(values, reading), dtype)}
        own = {"own_size": np.array(space.size), "own_spacing": np.array(space.spacing or [np.nan] * 3, np.float32)}
        if mask is not None:
            sample["mask"] = own["own_mask"] = mask
        size = resampled_size(space, reading.spacing)
        if size == space.size:
            return sample | own
        if channels * math.prod(size) > MAX_VOXELS:
            raise BrokenSample(str(paths[0]), _too_far(space, channels * math.prod(size)))
        gaps = sample["image"].dtype.kind == "f" and bool(np.isnan(sample["image"]).any())
        made = {name: tensor.numpy() for name, tensor in fit(sample, whole(space.size), size, missing=gaps).items()}
        if gaps:
            made["image"] = np.where(made.pop("valid"), made["image"], np.float32(np.nan))
        return made | own
