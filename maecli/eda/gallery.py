"""Samples to show: of each class, with their masks, as augmentation makes them, and copies side by side.

A modality draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from maecli.data.card import DataCard
from maecli.data.sample import Sample, Split
from maecli.eda.examples import Example
from maecli.eda.findings import Pair
from maecli.errors import BrokenSample
from maecli.loading import make_loader
from maecli.modalities.modality import Modality
from maecli.modalities.preprocess import Preprocess
from maecli.modalities.survey import with_gaps
from maecli.schema import AugmentSpec, DataSpec

EXAMPLE_SIDE = 320
"""Pixels that a picture is decoded to at least."""


@dataclass(frozen=True)
class FirstSamples:
    """A few readable samples of a split."""

    split: Split
    ids: tuple[int, ...]
    examples: tuple[Example, ...]


def example_of(key: str, sample: Sample, card: DataCard, modality: Modality) -> Example:
    """Return a sample as the data set gives it, drawn."""
    image, mask = modality.preview(sample, card)
    objects = None
    if mask is None and (beside := _beside_objects(sample.get("mask"), card)) is not None:
        objects = modality.draw(card.in_units(with_gaps(sample)), beside)
    return Example(key, image, mask, objects)


def _beside_objects(mask: np.ndarray | None, card: DataCard) -> np.ndarray | None:
    """Return what is no object in a mask (*S), bool; None without a mask, and where every class is an object."""
    return None if mask is None or card.background is None else (mask == card.background) | (mask == card.void)


def first_samples(split: Split, card: DataCard, modality: Modality, num: int) -> FirstSamples:
    """Return the first `num` samples that can be read."""
    examples: dict[int, Example] = {}
    for index in range(len(split)):
        if len(examples) == num:
            break
        with suppress(BrokenSample):
            examples[index] = example_of(split.keys[index], split[index], card, modality)
    return FirstSamples(split, tuple(examples), tuple(examples.values()))


def examples_of(split: Split, card: DataCard, modality: Modality, ids: Sequence[int], num: int) -> list[Example]:
    """Return `num` evenly spaced samples of those at the positions `ids`, fewer where some cannot be read."""
    few = [ids[k * len(ids) // num] for k in range(num)] if len(ids) > num else ids
    examples = []
    for index in few:
        with suppress(BrokenSample):
            sample = split[index] if card.missing else {"image": split.small(index, EXAMPLE_SIDE)}
            examples.append(example_of(split.keys[index], sample, card, modality))
    return examples


def after_augmentation(
    first: FirstSamples, card: DataCard, preprocess: Preprocess, augment: AugmentSpec, data: DataSpec, seed: int
) -> list[Example]:
    """Return the samples as the training loader augments them, drawn.

    Chance draws for them as for the first samples of a split, wherever in theirs they stand: training itself makes
    other parts of them, of the same kind.
    """
    keys = [first.split.keys[i] for i in first.ids]
    here = data.model_copy(update={"workers": 0, "cache": 0.0})  # each is read once
    split, chain = first.split.view(first.ids), bool(augment.chain)
    loader = make_loader(split, preprocess, torch.device("cpu"), seed, here, chain=chain)
    examples: dict[int, Example] = {}
    for batch in loader.train_batches(augment, len(keys), 0, 1):
        pixels = preprocess.to_pixels(batch["image"])
        if "valid" in batch.tensors:
            pixels = torch.where(batch["valid"], pixels, torch.nan)
        for row, number in enumerate(batch.draws.ids.tolist()):
            mask = batch["mask"][row].numpy() if "mask" in batch else None
            image = preprocess.modality.draw(pixels[row].numpy())
            beside = _beside_objects(mask, card)
            if mask is not None and mask.shape == image.shape[1:]:
                examples[number] = Example(keys[number], image, mask)
            else:
                objects = None if beside is None else preprocess.modality.draw(pixels[row].numpy(), beside)
                examples[number] = Example(keys[number], image, objects=objects)
    return [examples[number] for number in range(len(keys))]


def side_by_side(
    pairs: Sequence[Pair], splits: Mapping[str, Split], card: DataCard, modality: Modality, num: int
) -> list[tuple[Pair, Example, Example]]:
    """Return the samples of the first `num` pairs."""
    positions = {name: {key: i for i, key in enumerate(split.keys)} for name, split in splits.items()}
    copies = []
    for pair in pairs[:num]:
        both = [
            examples_of(splits[where.split], card, modality, [positions[where.split][where.key]], 1)
            for where in (pair.first, pair.second)
        ]
        if all(both):
            copies.append((pair, both[0][0], both[1][0]))
    return copies
