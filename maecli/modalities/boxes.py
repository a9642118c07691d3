"""Which part of a sample is cut out for the model: the centred one, or one by chance.

What chance draws is a function of a sample's numbers, its size and the model's alone. So it is the same wherever the
sample is cut: by a worker or on the device, by itself or in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from maecli.schema import AugmentSpec


class Box(NamedTuple):
    """A part of a sample, in cells of each axis; it may reach outside."""

    starts: tuple[int, ...]
    lengths: tuple[int, ...]


def whole(shape: Sequence[int]) -> Box:
    return Box((0,) * len(shape), tuple(shape))


def centred_part(shape: Sequence[int], size: Sequence[int]) -> Box:
    """Return the largest centred part of a sample that has the proportions of the model's size."""
    scale = min(range(len(shape)), key=lambda axis: (shape[axis] / size[axis], axis))
    lengths = tuple(
        length if axis == scale else max(1, min(length, round(shape[scale] * model / size[scale])))
        for axis, (length, model) in enumerate(zip(shape, size, strict=True))
    )
    return Box(tuple((length - part) // 2 for length, part in zip(shape, lengths, strict=True)), lengths)


def window(shape: Sequence[int], size: Sequence[int], numbers: Sequence[float] = ()) -> Box:
    """Return a part of the model's size: the centred one, or by numbers (A,) any; a shorter axis begins it."""
    surplus = [max(0, length - model) for length, model in zip(shape, size, strict=True)]
    if not numbers:
        return Box(tuple(cells // 2 for cells in surplus), tuple(size))
    return Box(tuple(int(u * (cells + 1)) for u, cells in zip(numbers, surplus, strict=True)), tuple(size))


def window_around(shape: Sequence[int], size: Sequence[int], centre: Sequence[int]) -> Box:
    """Return the part of the model's size around a cell, moved to stay inside; a shorter axis begins it."""
    last = [max(0, length - model) for length, model in zip(shape, size, strict=True)]
    starts = (min(max(cell - model // 2, 0), end) for cell, model, end in zip(centre, size, last, strict=True))
    return Box(tuple(starts), tuple(size))


def random_part(numbers: Sequence[float], shape: Sequence[int], spec: AugmentSpec) -> Box:
    """Return a part of random size and place, by numbers (2 + A,) in [0, 1).

    Its share of all cells, and of pictures the logarithm of width / height, are uniform in their ranges; a side that
    would be too long is cut. Source: "Going deeper with convolutions", arXiv:1409.4842, section 6.
    """
    low, high = spec.crop_scale
    share = low + numbers[0] * (high - low)
    if len(shape) == 2:
        low, high = (math.log(ratio) for ratio in spec.crop_ratio)
        aspect = math.exp(low + numbers[1] * (high - low)) * shape[0] / shape[1]
        sides = [math.sqrt(share / aspect), math.sqrt(share * aspect)]
    else:
        sides = [share ** (1 / len(shape))] * len(shape)
    sides = [min(side, 1.0) for side in sides]
    return _placed(shape, sides, numbers[2:])


def jittered_part(numbers: Sequence[float], shape: Sequence[int], size: Sequence[int], spec: AugmentSpec) -> Box:
    """Return a part of the model's size of a sample that was scaled by a factor, by numbers (1 + A,) in [0, 1).

    At the factor 1 the sample just covers the model's size; its logarithm is uniform in `jitter_scale`.
    """
    low, high = (math.log(factor) for factor in spec.jitter_scale)
    cover = max(model / length for length, model in zip(shape, size, strict=True))
    scale = cover * math.exp(low + numbers[0] * (high - low))
    return _placed(shape, [model / (scale * length) for length, model in zip(shape, size, strict=True)], numbers[1:])


def _placed(shape: Sequence[int], sides: Sequence[float], numbers: Sequence[float]) -> Box:
    """Return the part with these sides, in shares of the sample's, moved to stay inside, or to keep everything."""
    starts, lengths = [], []
    for length, side, u in zip(shape, sides, numbers, strict=True):
        part = max(1, round(side * length))
        low, high = sorted((0, length - part))
        starts.append(min(max(round(u * (1 - side) * length), low), high))
        lengths.append(part)
    return Box(tuple(starts), tuple(lengths))
