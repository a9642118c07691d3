"""Mean and deviation of a set of files, from some of its train pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maecli.data.sample import Split
from maecli.data.splits import places
from maecli.data.statistics import channel_stats
from maecli.errors import BrokenSample, DataError, Fault

NUM_DECODED = 256
DECODED_SIDE = 256
"""JPEG may be decoded smaller than it is, but with no side below this."""


class ChannelStats(NamedTuple):
    """What decoding some train pictures says of a set."""

    num: int
    """How many were decoded."""
    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    faults: Collection[Fault]
    """Of those that could not be."""
    missing: bool = False
    """Whether one of them lacks cells."""


def sampled_channel_stats(train: Split, root: Path, value_range: tuple[float, float] | None) -> ChannelStats:
    """Decode up to 256 pictures of `train`, chosen by the fixed seed, for mean and deviation in units of [0, 1].

    Without a `value_range`, it is what these pictures reach, [0, 1] at least. Raises `DataError`, naming the set's
    `root`, if none can be decoded.
    """
    line = places(train.keys)
    ids: list[int] = np.lexsort((line[:, 1], line[:, 0]))[:NUM_DECODED].tolist()
    faults: dict[int, Fault] = {}
    lacking: set[int] = set()
    if value_range is None:
        value_range = _reach(_decoded(train, ids, root, faults, lacking))
    try:
        mean, std = channel_stats(_decoded(train, ids, root, faults, lacking), value_range)
    except ValueError as error:
        raise DataError(f"the {len(ids)} train pictures tried in {root} have nothing but missing cells") from error
    return ChannelStats(len(ids) - len(faults), value_range, mean, std, faults.values(), bool(lacking))


def _decoded(
    split: Split, ids: Sequence[int], root: Path, faults: dict[int, Fault], lacking: set[int]
) -> Iterator[np.ndarray]:
    """Decode those of the pictures that can be, small where their format allows it; note which lack cells."""
    for i in ids:
        try:
            image = split.small(i, DECODED_SIDE)
        except BrokenSample as error:
            faults[i] = error.fault
            continue
        if image.dtype.kind == "f" and np.isnan(image).any():
            lacking.add(i)
        yield image
    if len(faults) == len(ids):
        reason = "".join(f"; {fault.path}, for one: {fault.reason}" for fault in [*faults.values()][:1])
        raise DataError(f"none of the {len(ids)} train pictures tried in {root} can be decoded{reason}")


def _reach(images: Iterator[np.ndarray]) -> tuple[float, float]:
    """Return (0, 1) if all values lie within, else the least and the greatest value; NaN is none."""
    extremes = np.array([(np.fmin.reduce(image, None), np.fmax.reduce(image, None)) for image in images], np.float64)
    least, most = float(np.fmin.reduce(extremes[:, 0])), float(np.fmax.reduce(extremes[:, 1]))
    if np.isnan(least):  # they hold nothing at all
        return 0.0, 1.0
    if least >= 0.0 and most <= 1.0:
        return 0.0, 1.0
    return least, most if most > least else least + 1.0
