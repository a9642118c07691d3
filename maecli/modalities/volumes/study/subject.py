"""What each volume shows by itself: where it lies, how its values are spread, how large its classes are and where.

Shapes: D, H, W a volume's size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from maecli.errors import BrokenSample
from maecli.modalities.volumes.cases import VolumeCases, all_whole
from maecli.modalities.volumes.intensity import looks_like_hounsfield
from maecli.modalities.volumes.prepare import read_channels
from maecli.modalities.volumes.space import Space

MOST_VOLUMES = 64
"""That are looked at; of more, evenly spaced ones."""
MOST_VALUES = 200_000
"""Of a volume, by which its values are told."""
QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0)


@dataclass(frozen=True)
class Shown:
    """A class in a volume."""

    voxels: int
    from_left: float
    """Mean place along the first axis, in voxels: higher is farther to the right."""


@dataclass(frozen=True, eq=False)
class Volume:
    """What one volume shows."""

    key: str
    split: str
    space: Space
    values: NDArray[np.float32]
    """Some of its first channel, without missing ones."""
    missing: float
    hounsfield: bool
    classes: Mapping[int, Shown] = field(default_factory=dict)
    """By the number in its mask, all but 0."""

    @property
    def quantiles(self) -> NDArray[np.float64]:
        return np.quantile(self.values, QUANTILES) if len(self.values) else np.full(len(QUANTILES), np.nan)

    @property
    def millilitres(self) -> float | None:
        """Return the volume of a voxel in ml; None where spacing is not known."""
        return None if self.space.spacing is None else prod(self.space.spacing) / 1000


def looked_at(split: VolumeCases, name: str, most: int) -> Iterator[Volume]:
    """Yield what volumes of a split show, without those that cannot be read."""
    num = len(split)
    for index in range(num) if num <= most else [place * num // most for place in range(most)]:
        try:
            yield look(split, index, name)
        except BrokenSample:
            continue


def look(split: VolumeCases, index: int, name: str) -> Volume:
    """Return what a volume shows. Raises BrokenSample."""
    case = split.cases[index]
    values, space = read_channels([split.root / path for path in case.images], split.channels)
    some = values[0].reshape(-1)[:: max(1, values[0].size // MOST_VALUES)].astype(np.float32)
    known = some[~np.isnan(some)]
    mask = None if case.mask is None else read_channels([split.root / case.mask], 1)[0][0]
    return Volume(
        case.key,
        name,
        space,
        known,
        1 - len(known) / max(1, len(some)),
        looks_like_hounsfield(values),
        classes_in(mask) if mask is not None and mask.shape == space.size and all_whole(mask) else {},
    )


def classes_in(mask: np.ndarray) -> dict[int, Shown]:
    """Return the classes of a mask (D, H, W) by their numbers, without 0."""
    voxels, places = Counter[int](), Counter[int]()
    for place, plane in enumerate(mask):
        for number, num in zip(*np.unique(plane, return_counts=True), strict=True):
            voxels[int(number)] += int(num)
            places[int(number)] += place * int(num)
    return {number: Shown(num, places[number] / num) for number, num in voxels.items() if number}
