"""What the samples of a task are like, from a few of them."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from maecli.data.facts import Facts
from maecli.data.sample import Split
from maecli.errors import BrokenSample, DataError
from maecli.modalities.fit import resized
from maecli.modalities.modality import Modality
from maecli.run.open import Data

MOST_SIZES = 200
"""Samples whose size is asked for."""
MOST_THUMBNAILS, THUMBNAIL = 400, 12
"""Samples that are looked at, and the sides of the squares they become."""
FEWEST_THUMBNAILS = 40
"""Fewer say nothing of mirror images."""
NONE = np.zeros((0, THUMBNAIL, THUMBNAIL), np.float32)
PART, FLAT = 3, 0.05
"""Pixels along the parts of a thumbnail, and the deviation, in those of the thumbnail, below which one is flat."""
SECONDS = 3.0
"""After this long no more of them is read."""
RIDGE = 1.0
"""Of the rule that tells originals from mirror images, in mean variances of all samples together."""
BY_CHANCE = 3.0
"""Standard deviations by which more than half have to be told apart,"""
TOLD_APART = 0.6
"""and at least this share."""


def survey(data: Data, modality: Modality) -> Facts:
    """Return the facts of what a task learns from."""
    card, train = data.training.card, data.split("train")
    fields = data.fields
    small = thumbnails(train) if modality.pictorial else NONE
    classes = card.mask_classes if "mask" in fields else card.classes if "label" in fields else ()
    return Facts(
        num_train=len(train),
        num_val=len(data.split("val")),
        num_test=card.split_sizes.get("test", 0),
        size=card.size or usual_size(train),
        channels=data.spec.data.channels or card.channels,
        num_classes=len(classes),
        mirrors=modality.pictorial and mirror_images_are_alike(small),
        flat=flat_share(small),
        unit=modality.unit,
    )


def usual_size(split: Split) -> tuple[int, ...]:
    """Return the median length along each axis, of the samples that can be read."""
    sizes = []
    for index in spread(len(split), MOST_SIZES):
        with contextlib.suppress(BrokenSample):
            sizes.append(split.size(index))
    if not sizes:
        raise DataError(f"none of {len(split):,} training samples can be read")
    return tuple(int(statistics.median(lengths)) for lengths in zip(*sizes, strict=True))


def spread(num: int, most: int) -> Sequence[int]:
    """Return at most so many of `num` positions, evenly spaced."""
    return range(num) if num <= most else [index * num // most for index in range(most)]


def flat_share(small: NDArray[np.float32]) -> float:
    """Return the share of parts of thumbnails (N, D, D), of PART pixels a side, in which nothing varies."""
    if not len(small):
        return 0.0
    num = THUMBNAIL // PART
    parts = small.reshape(len(small), num, PART, num, PART)
    return float((parts.std(axis=(2, 4)) < FLAT).mean())


def mirror_images_are_alike(small: NDArray[np.float32]) -> bool:
    """Whether originals (N, D, D) cannot be told from mirror images, so that a mirrored sample is one that may occur.

    A linear rule that was fitted on one half of some samples is tried on the other: visual chirality, as in
    arXiv:2006.09512. Writing and digits are told apart, photographs hardly. Few samples say nothing: they are alike.
    """
    if len(small) < FEWEST_THUMBNAILS:
        return True
    odd = (small - small[..., ::-1])[..., : THUMBNAIL // 2].reshape(len(small), -1)
    right = _directed(odd[::2], odd[1::2]) + _directed(odd[1::2], odd[::2])
    return right < len(odd) / 2 + BY_CHANCE * math.sqrt(len(odd) / 4) or right < TOLD_APART * len(odd)


def _directed(train: NDArray[np.float32], test: NDArray[np.float32]) -> int:
    """Return how many differences (N, D) between an original and its mirror image have the usual sign.

    The rule is that of ridge regression, to the value 1 for all of `train`.
    """
    spread_out = len(train) * float(train.var()) + 1e-6
    rule = np.linalg.solve(train.T @ train + RIDGE * spread_out * np.eye(train.shape[1]), train.sum(0))
    return int((test @ rule > 0).sum())


def thumbnails(split: Split) -> NDArray[np.float32]:
    """Return a few samples (N, D, D) of two axes as small squares of even brightness, without those that are broken."""
    begin, made = time.monotonic(), []
    for index in spread(len(split), MOST_THUMBNAILS):
        if time.monotonic() - begin > SECONDS:
            break
        with contextlib.suppress(BrokenSample):
            image = torch.from_numpy(split.small(index, THUMBNAIL).astype(np.float32)).nan_to_num()
            small = resized(image, (THUMBNAIL, THUMBNAIL)).mean(0)
            made.append(((small - small.mean()) / (small.std() + 1e-6)).numpy())
    return np.stack(made) if made else NONE
