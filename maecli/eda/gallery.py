"""Samples to show: some of each class, image–mask pairs, what augmentation makes of them, and copies side by side.

Pictures are float32 (C, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from maecli.data.card import DataCard
from maecli.data.sample import Split
from maecli.eda.examples import Example, Image
from maecli.eda.findings import Pair
from maecli.errors import BrokenSample
from maecli.loading import make_loader
from maecli.modalities.pictures.bands import averaging, collected
from maecli.modalities.preprocess import Preprocess
from maecli.schema import AugmentSpec, DataSpec

EXAMPLE_SIDE = 320
"""Pixels that an example is decoded to at least."""

WHOLE_PIXELS, AVERAGED_PIXELS = 2**22, 2**20
"""Pixels up to which a picture is drawn as it is, and to about how many a larger one is averaged."""


@dataclass(frozen=True)
class FirstSamples:
    """A few readable samples of a split."""

    split: Split
    ids: tuple[int, ...]
    examples: tuple[Example, ...]


def displayed(image: np.ndarray, card: DataCard) -> Image:
    """Return a picture (C, H, W) in the data's range as float32 in [0, 1]; what is missing becomes middle grey."""
    return np.clip(np.nan_to_num(card.in_units(image), nan=0.5), 0, 1)


def example_of(key: str, image: np.ndarray, card: DataCard, mask: np.ndarray | None = None) -> Example:
    """Return a sample to show; of a large one, averages of pixels, and of its mask the pixels in their middles."""
    if image.ndim != 3:
        return Example(key, displayed(image, card), mask)
    size = (image.shape[1], image.shape[2])
    factors = averaging(1, size, EXAMPLE_SIDE, WHOLE_PIXELS, AVERAGED_PIXELS)
    small = collected(lambda rows: image[:, rows], len(image), size, factors)
    if mask is not None and factors != (1, 1):
        rows, columns = (
            np.minimum(np.arange(0, length, factor) + factor // 2, length - 1)
            for length, factor in zip(size, factors, strict=True)
        )
        mask = mask[np.ix_(rows, columns)]
    return Example(key, displayed(small, card), mask)


def first_samples(split: Split, card: DataCard, num: int) -> FirstSamples:
    """Return the first `num` samples that can be read."""
    examples: dict[int, Example] = {}
    for index in range(len(split)):
        if len(examples) == num:
            break
        with suppress(BrokenSample):
            sample = split[index]
            examples[index] = example_of(split.keys[index], sample["image"], card, sample.get("mask"))
    return FirstSamples(split, tuple(examples), tuple(examples.values()))


def pictures_of(split: Split, card: DataCard, ids: Sequence[int], num: int) -> list[Example]:
    """Return `num` evenly spaced pictures of those at the positions `ids`, fewer where some cannot be read."""
    few = [ids[k * len(ids) // num] for k in range(num)] if len(ids) > num else ids
    examples = []
    for index in few:
        with suppress(BrokenSample):
            examples.append(example_of(split.keys[index], split.small(index, EXAMPLE_SIDE), card))
    return examples


def after_augmentation(
    first: FirstSamples, preprocess: Preprocess, augment: AugmentSpec, data: DataSpec, seed: int
) -> list[Example]:
    """Return the samples as the training loader augments them, with their colours brought back to [0, 1].

    Chance draws for them as for the first samples of a split, wherever in theirs they stand: training itself makes
    other parts of them, of the same kind.
    """
    keys = [first.split.keys[i] for i in first.ids]
    here = data.model_copy(update={"workers": 0, "cache": 0.0})  # each is read once
    split, chain = first.split.view(first.ids), bool(augment.chain)
    loader = make_loader(split, preprocess, torch.device("cpu"), seed, here, chain=chain)
    examples: dict[int, Example] = {}
    for batch in loader.train_batches(augment, len(keys), 0, 1):
        pixels = preprocess.to_pixels(batch["image"]).clamp(0, 1).numpy()
        for row, number in enumerate(batch.draws.ids.tolist()):
            mask = batch["mask"][row].numpy() if "mask" in batch else None
            examples[number] = Example(keys[number], pixels[row], mask)
    return [examples[number] for number in range(len(keys))]


def side_by_side(
    pairs: Sequence[Pair], splits: Mapping[str, Split], card: DataCard, num: int
) -> list[tuple[Pair, Example, Example]]:
    """Return the pictures of the first `num` pairs."""
    positions = {name: {key: i for i, key in enumerate(split.keys)} for name, split in splits.items()}
    copies = []
    for pair in pairs[:num]:
        both = [
            pictures_of(splits[where.split], card, [positions[where.split][where.key]], 1)
            for where in (pair.first, pair.second)
        ]
        if all(both):
            copies.append((pair, both[0][0], both[1][0]))
    return copies
