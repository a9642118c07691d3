"""What a picture shows to a survey besides its values: a thumbnail to find near copies by, whether it is flat or grey.

Pictures are decoded small where their format allows it, and their sizes are read from headers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard, ends_of
from maecli.data.sample import Sample, Split
from maecli.modalities.pictures.bands import averaging, bands, collected
from maecli.modalities.pictures.read import GREY
from maecli.modalities.survey import Look, look_at, with_gaps

SMALL_SIDE = 64
"""Pixels that the shorter side of a picture is decoded to at least."""

THUMBNAIL = 32
"""Side of the grey pictures that perceptual hashes are taken of."""

FLAT_STD = 0.01
"""Standard deviation of a grey thumbnail, of a range of 1, up to which a picture counts as flat."""

GREY_TOLERANCE = 2 / 255
"""Channels that differ by no more are equal: JPEG rounds."""

SHOWN_SIDE = 320
"""Pixels that a picture to be shown is averaged to at least."""

WHOLE_PIXELS, AVERAGED_PIXELS = 2**22, 2**20
"""Pixels up to which a picture is shown as it is, and to about how many a larger one is averaged."""


def look_at_picture(split: Split, index: int, size: tuple[int, ...], card: DataCard) -> Look:
    """Return what one picture, of this size, shows. Raises `BrokenSample`."""
    sample = split[index] if card.missing else {"image": split.small(index, SMALL_SIDE)}
    look = look_at(split.keys[index], sample, size, card, axes=2, per_cell=False)
    lows, highs = (np.array(ends, np.float32)[:, None, None] for ends in ends_of(card.value_range))
    pixels = with_gaps(sample).astype(np.float32)  # (C, H, W); changed in place, since it may be large
    pixels -= lows
    pixels /= highs - lows
    np.nan_to_num(pixels, copy=False)
    grey = len(pixels) == 3 and all(
        float(np.ptp(pixels[:, rows], axis=0).max()) <= GREY_TOLERANCE
        for rows in bands(pixels.shape[1], 3 * pixels.shape[2])
    )
    thumbnail = grey_thumbnail(pixels)
    flat = float(thumbnail.std()) <= FLAT_STD
    return replace(look, thumbnail=None if flat else _stretched(thumbnail), flat=flat, grey=grey)


def grey_thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture (C, H, W) as grey (32, 32); colour is weighted, other channels are averaged."""
    from PIL import Image

    grey = np.tensordot(np.array(GREY, np.float32), pixels, 1) if len(pixels) == 3 else pixels.mean(0)
    picture = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.asarray(picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR))


def _stretched(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = grey.min(), grey.max()
    return np.rint((grey - low) * (255 / (high - low))).astype(np.uint8)


def shrunk(sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a picture (C, H, W) and its mask to be shown: of a large one, means of blocks and the mask's middles."""
    image, mask = with_gaps(sample), sample.get("mask")
    size = (image.shape[1], image.shape[2])
    factors = averaging(1, size, SHOWN_SIDE, WHOLE_PIXELS, AVERAGED_PIXELS)
    if mask is not None and factors != (1, 1):
        rows, columns = (
            np.minimum(np.arange(0, length, factor) + factor // 2, length - 1)
            for length, factor in zip(size, factors, strict=True)
        )
        mask = mask[np.ix_(rows, columns)]
    return collected(lambda rows: image[:, rows], len(image), size, factors), mask
