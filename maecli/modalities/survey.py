"""What a sample shows to a survey of its data set: its size, a digest to find copies by, and sums over its values.

Shapes: C channels, S spatial axes, K channels, or the cells of the last axis where each has a range of its own.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard, ValueRange, ends_of
from maecli.data.sample import Sample
from maecli.errors import BrokenSample

CHUNK = 2**20
"""Values that are summed at a time, so that a large sample needs no second copy."""
NEAR_AN_END = 1e-6
"""Share of the card's range by which a value may lie outside: float32 rounds."""

Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


NO_LIMITS = np.array([[-np.inf]]), np.array([[np.inf]])


@dataclass(frozen=True)
class Values:
    """Sums over the values of each channel or cell, all (K,); those of several samples add up."""

    num: Counts
    """How many there are, without the missing ones."""
    missing: Counts
    outside: Counts
    """How many lie outside of the card's range."""
    low: Numbers
    """The least one; infinite where there is none."""
    high: Numbers
    mean: Numbers
    squares: Numbers
    """Sum of the squared distances to the mean."""

    @classmethod
    def none(cls, num: int) -> Self:
        """Return the sums of nothing, for so many channels or cells."""
        counts, zeros, infinite = np.zeros(num, np.int64), np.zeros(num), np.full(num, np.inf)
        return cls(counts, counts, counts, infinite, -infinite, zeros, zeros)

    @classmethod
    def of(
        cls,
        image: np.ndarray,
        there: Flags | None = None,
        limits: tuple[Numbers, Numbers] = NO_LIMITS,
        per_cell: bool = False,
    ) -> Self:
        """Return the sums over image (C, *S), of the cells that are `there` (C, *S): all by default.

        The limits, which values may lie outside of, are (1, 1) or (K, 1).
        """
        columns, flags = _columns(image, per_cell), None if there is None else _columns(there, per_cell)
        step = max(1, CHUNK // len(columns))
        total: Self | None = None
        for start in range(0, columns.shape[1], step):
            part = slice(start, start + step)
            sums = cls._of_columns(columns[:, part], None if flags is None else flags[:, part], limits)
            total = sums if total is None else total + sums
        return cls.none(len(columns)) if total is None else total

    @classmethod
    def _of_columns(cls, values: np.ndarray, there: Flags | None, limits: tuple[Numbers, Numbers]) -> Self:
        """Return the sums over values (K, n), within limits (1, 1) or (K, 1)."""
        if there is None:
            num, missing = np.full(len(values), values.shape[1]), np.zeros(len(values), np.int64)
            low, high = values.min(1).astype(np.float64), values.max(1).astype(np.float64)
            mean = values.sum(1, np.float64) / num
            apart = values - mean[:, None]
        else:
            num = there.sum(1)
            missing = values.shape[1] - num
            low, high = np.where(there, values, np.inf).min(1), np.where(there, values, -np.inf).max(1)
            mean = values.sum(1, np.float64, where=there) / np.maximum(num, 1)
            apart = np.where(there, values - mean[:, None], 0.0)
        outside = np.zeros(len(values), np.int64)
        if (low < limits[0][:, 0]).any() or (high > limits[1][:, 0]).any():
            beyond = (values < limits[0]) | (values > limits[1])
            outside = (beyond if there is None else beyond & there).sum(1)
        return cls(num, missing, outside, low, high, mean, np.einsum("kn,kn->k", apart, apart))

    def __add__(self, other: Self) -> Self:
        """Join the sums. Source: Chan, Golub and LeVeque, "Updating formulae", 1979, equation 2.1."""
        num = self.num + other.num
        share = other.num / np.maximum(num, 1)
        apart = other.mean - self.mean
        return type(self)(
            num,
            self.missing + other.missing,
            self.outside + other.outside,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.mean + apart * share,
            self.squares + other.squares + np.square(apart) * self.num * share,
        )

    @property
    def constant(self) -> bool:
        """Whether there are values, and those of each channel or cell are equal."""
        return bool(self.num.any() and (self.low >= self.high)[self.num > 0].all())


@dataclass(frozen=True)
class Look:
    """What one sample showed."""

    size: tuple[int, ...]
    digest: bytes
    """Of the values as they were read, and of their number; missing ones are all the same."""
    reduced: bool = False
    """Whether it was read smaller than it is, so that an equal digest does not prove equal samples."""
    missing: float = 0.0
    """Share of its values that are missing."""
    values: Values | None = None
    thumbnail: NDArray[np.uint8] | None = None
    """(32, 32) grey, its values stretched to 0 to 255, by which near copies are found; None where it shows nothing."""
    flat: bool = False
    """Whether all of it is one value, such as one colour."""
    grey: bool = False
    """Whether it is a picture in colour without any."""


def look_at(key: str, sample: Sample, size: Sequence[int], card: DataCard, axes: int, per_cell: bool) -> Look:
    """Return what any sample shows of itself. Raises `BrokenSample` if it is not as the card says."""
    image = sample["image"]
    if image.ndim != axes + 1 or len(image) != card.channels:
        told = f"channels: {card.channels}, and axes besides: {axes}"
        raise BrokenSample(key, f"has the shape {image.shape}, and its data set {told}")
    if per_cell and card.size not in (None, image.shape[1:]):
        raise BrokenSample(key, f"has the size {image.shape[1:]}, and its data set {card.size}")
    if not image.size:
        raise BrokenSample(key, "has no values")
    there = cells_there(sample)
    if image.dtype.kind == "f" and np.isinf(image).any():
        raise BrokenSample(key, "holds infinite values")
    values = Values.of(image, there, _limits_of(card.value_range), per_cell)
    missing = float(values.missing.sum() / image.size)
    flat = not per_cell and values.constant and image.size > len(image)
    reduced = tuple(image.shape[1:]) != tuple(size)
    return Look(tuple(size), digest_of(sample, size), reduced, missing, values, flat=flat)


def cells_there(sample: Sample) -> Flags | None:
    """Return which values of a sample's image exist (C, *S); None if all do."""
    image, valid = sample["image"], sample.get("valid")
    there = None if valid is None else np.broadcast_to(valid.astype(bool), image.shape)
    if image.dtype.kind == "f":
        numbers = ~np.isnan(image)
        there = numbers if there is None else there & numbers
    return None if there is None or there.all() else there


def with_gaps(sample: Sample) -> np.ndarray:
    """Return a sample's image (C, *S), NaN where a value is missing."""
    there = cells_there(sample)
    return sample["image"] if there is None else np.where(there, sample["image"], np.float32(np.nan))


def digest_of(sample: Sample, size: Sequence[int]) -> bytes:
    """Return 16 bytes that are the same for equal values of samples of equal size, and else differ."""
    image, there = sample["image"], cells_there(sample)
    digest = hashlib.blake2b(f"{image.dtype} {image.shape} {tuple(size)}".encode(), digest_size=16)
    if there is not None:
        digest.update(np.packbits(there).data)
        image = np.where(there, image, image.dtype.type(0))
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def _columns(values: np.ndarray, per_cell: bool) -> np.ndarray:
    """Return the values (K, n) of each channel of (C, *S), or of each cell of its last axis."""
    return values.reshape(-1, values.shape[-1]).T if per_cell else values.reshape(len(values), -1)


@functools.lru_cache(maxsize=16)
def _limits_of(value_range: ValueRange) -> tuple[Numbers, Numbers]:
    """Return what values lie in at least and at most, (1, 1) or (K, 1)."""
    lows, highs = (np.array(ends, np.float64)[:, None] for ends in ends_of(value_range))
    slack = NEAR_AN_END * np.maximum(highs - lows, np.maximum(abs(lows), abs(highs)))
    return lows - slack, highs + slack
