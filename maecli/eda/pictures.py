"""One pass over the pictures of a split: sizes, what cannot be read, and fingerprints to find copies by.

Pictures are decoded small where their format allows it, and their sizes are read from headers.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maecli.data.card import DataCard, ends_of
from maecli.data.sample import Split
from maecli.eda.findings import Pictures, Sizes
from maecli.eda.parallel import Room, Scan
from maecli.modalities.pictures.bands import bands
from maecli.modalities.pictures.read import GREY

SMALL_SIDE = 64
"""Pixels that the shorter side of a picture is decoded to at least."""

THUMBNAIL = 32
"""Side of the grey pictures that perceptual hashes are taken of."""

FLAT_STD = 0.01
"""Standard deviation of a grey thumbnail, of a range of 1, up to which a picture counts as flat."""

GREY_TOLERANCE = 2 / 255
"""Channels that differ by no more are equal: JPEG rounds."""

MAX_COMMON_SIZES = 500


@dataclass(frozen=True)
class Look:
    """What one picture showed."""

    size: tuple[int, ...]
    digest: bytes
    """Of the pixels as they were decoded, and of their number."""
    reduced: bool
    """Whether it was decoded smaller than it is, so that an equal digest does not prove equal pixels."""
    thumbnail: NDArray[np.uint8] | None
    """(32, 32) grey, its values stretched to 0 to 255; None for flat pictures, and for what is no picture."""
    flat: bool
    grey: bool


@dataclass
class PictureScan(Scan):
    """What a pass over a split gathered: a look at each readable picture, in the order of the split."""

    split: Split
    looks: list[Look] = field(default_factory=list)

    def summary(self) -> Pictures:
        return Pictures(
            num=len(self.split),
            num_broken=len(self.faults),
            sizes=_sizes([look.size for look in self.looks]),
            num_flat=sum(look.flat for look in self.looks),
            num_grey=sum(look.grey for look in self.looks),
        )


def scan_pictures(split: Split, card: DataCard, tick: Callable[[], None]) -> PictureScan:
    """Look at every picture of a split once, calling `tick` after each."""
    scan, room = PictureScan(split), Room()

    def look(index: int) -> Look:
        size = split.size(index)
        with room.taken(size):
            return look_at(split, index, size, card)

    scan.looks += scan.read(look, len(split), tick)
    return scan


def look_at(split: Split, index: int, size: tuple[int, ...], card: DataCard) -> Look:
    """Return what one picture, of this size, shows. Raises `BrokenSample`."""
    image = split.small(index, SMALL_SIDE)
    digest = pixel_digest(image, size)
    reduced = tuple(image.shape[1:]) != tuple(size)
    if image.ndim != 3:
        return Look(size, digest, reduced, None, flat=False, grey=False)
    lows, highs = (np.array(ends, np.float32)[:, None, None] for ends in ends_of(card.value_range))
    pixels = image.astype(np.float32)  # (C, H, W); changed in place, since it may be large
    pixels -= lows
    pixels /= highs - lows
    np.nan_to_num(pixels, copy=False)
    grey = len(pixels) == 3 and all(
        float(np.ptp(pixels[:, rows], axis=0).max()) <= GREY_TOLERANCE
        for rows in bands(pixels.shape[1], 3 * pixels.shape[2])
    )
    thumbnail = grey_thumbnail(pixels)
    flat = float(thumbnail.std()) <= FLAT_STD
    return Look(size, digest, reduced, None if flat else _stretched(thumbnail), flat, grey)


def pixel_digest(image: np.ndarray, size: Sequence[int]) -> bytes:
    """Return 16 bytes that are the same for equal pixels of pictures of equal size, and else differ."""
    head = f"{image.dtype} {image.shape} {tuple(size)}".encode()
    digest = hashlib.blake2b(head, digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def grey_thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture (C, H, W) as grey (32, 32); colour is weighted, other channels are averaged."""
    grey = np.tensordot(np.array(GREY, np.float32), pixels, 1) if len(pixels) == 3 else pixels.mean(0)
    picture = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.asarray(picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR))


def _stretched(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = grey.min(), grey.max()
    return np.rint((grey - low) * (255 / (high - low))).astype(np.uint8)


def _sizes(sizes: Sequence[tuple[int, ...]]) -> Sizes | None:
    if not sizes:
        return None
    array = np.array(sizes)
    common = Counter(sizes).most_common(MAX_COMMON_SIZES)
    return Sizes(
        smallest=tuple(array.min(0).tolist()),
        median=tuple(np.median(array, axis=0).tolist()),
        largest=tuple(array.max(0).tolist()),
        num_distinct=len(set(sizes)),
        common=tuple(common),
    )
