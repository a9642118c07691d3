"""A part of the training samples, as if the others had no labels.

Parts of one seed are nested: the 1% lies within the 10%, and 4 per class within 16 per class.

Shapes: N samples, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.data.randomness import derive_seed
from maecli.data.sample import Split, TensorSplit
from maecli.data.splits import places
from maecli.data.views.by_key import NONE, ByKey
from maecli.data.views.keys import take
from maecli.errors import BrokenSample, SpecError

WHOLE = "100%"


@dataclass(frozen=True)
class TrainingPart:
    """The training samples that a run learns from, and the card that tells of them."""

    split: Split
    card: DataCard
    description: str
    """What was chosen, in words."""


def training_part(
    dataset: Dataset, card: DataCard, fields: Sequence[str], part: str, seed: int, needs: str = "this task"
) -> TrainingPart:
    """Return a part of the training split with `fields`: a share such as 10%, or 4 for 4 samples of each class.

    Stratified by class, with at least one sample of each; where samples have several labels, each counts for the
    rarest of them. Without the field `label` (segmentation) it is a share of the pictures. What is chosen is a
    function of the seed, the keys and the labels.
    100% is everything, whatever the fields.
    Raises SpecError where `needs`, which learns from `fields`, has no labels to take a part of.
    """
    if part == WHOLE:
        split = dataset.split("train", fields)
        return TrainingPart(split, card, f"all {len(split):,} training samples")
    if set(fields) <= {"image"}:
        raise SpecError(f"data.labels ({part}) is a part of the labels, and {needs} learns without them; leave it out")
    labelled = "label" in fields
    if not labelled and not part.endswith("%"):
        raise SpecError(
            f"data.labels ({part}) counts samples per class, and those of {needs} have no single class; give a share "
            "such as 10%"
        )
    split = dataset.split("train", fields)
    counts: tuple[int, ...] = ()
    if labelled:
        labels = labels_by_key(dataset, "train", split)
        codes = labels.codes_of(split.keys)
        ids = np.flatnonzero(codes != NONE)
        known = [labels.distinct[code] for code in codes[ids].tolist()]
        chosen = ids[choose(take(split.keys, ids), known, part, seed)].tolist()
        counts = class_counts(labels.distinct, codes[chosen], card.num_classes)
    else:
        chosen = choose(split.keys, None, part, seed)
    description = f"{len(chosen):,} of {len(split):,} training samples, chosen by seed {seed}"
    if counts:
        description += f", {min(counts):,}{'' if len(set(counts)) == 1 else f' to {max(counts):,}'} of each class"
    changes = {"split_sizes": {**card.split_sizes, "train": len(chosen)}, "class_counts": counts}
    return TrainingPart(split.view(chosen), card.model_copy(update=changes), description)


def labels_by_key(dataset: Dataset, name: SplitName, split: Split) -> ByKey[np.ndarray]:
    """Return the labels of a split's samples, as the field `label` holds them, opening no picture if that can be.

    Samples without a label, or whose label cannot be read, are left out.
    """
    if isinstance(split, TensorSplit) and "label" in split.tensors:
        distinct, codes = np.unique(split.tensors["label"].cpu().numpy(), axis=0, return_inverse=True)
        return ByKey(split.keys, codes.reshape(-1), list(distinct))
    source = dataset.split(name, ("label",))
    codes = np.full(len(source), NONE, np.int32)
    numbers: dict[bytes, int] = {}
    different: list[np.ndarray] = []
    for i in range(len(source)):
        with suppress(BrokenSample):  # told of when it is read for use
            label = np.asarray(source[i]["label"])
            codes[i] = numbers.setdefault(label.tobytes(), len(numbers))
            if len(numbers) > len(different):
                different.append(label)
    return ByKey(source.keys, codes, different)


def class_counts(labels: Sequence[np.ndarray], codes: NDArray[np.int32], num_classes: int) -> tuple[int, ...]:
    """Return how many samples each class is present in (Q,), by the number (N,) of each one's label () or (Q,)."""
    counts = [0] * num_classes
    for label, num in zip(labels, np.bincount(codes[codes != NONE], minlength=len(labels)).tolist(), strict=True):
        for q in classes_of(label):
            counts[q] += num
    return tuple(counts)


def choose(keys: Sequence[str], labels: Sequence[np.ndarray] | None, part: str, seed: int) -> list[int]:
    """Return the positions in `keys` of a part of the samples, in rising order.

    Within a stratum samples stand in an order that follows from the seed, and a part takes from the front: so many, or
    its share rounded. The first sample of each class is always taken.
    """
    line_seed = derive_seed(seed, "labels")
    line_places = places(keys, line_seed)
    order: list[int] = np.lexsort((line_places[:, 1], line_places[:, 0])).tolist()
    classes: dict[bytes, list[int]] = {}  # of equal labels once: a list each would take 60 bytes
    present = [[0]] * len(keys)
    if labels is not None:
        present = [classes.setdefault(label.tobytes(), classes_of(label)) for label in labels]
    counts: dict[int, int] = {}
    first: dict[int, int] = {}
    for i in order:
        for q in present[i]:
            counts[q] = counts.get(q, 0) + 1
            first.setdefault(q, i)
    certain = set(first.values())
    strata: dict[int | None, list[int]] = {}
    for i in sorted(order, key=lambda i: i not in certain):  # stable, so the order stays otherwise
        rarest = min(present[i], key=lambda q: (counts[q], q), default=None)
        strata.setdefault(rarest, []).append(i)
    chosen = []
    for line in strata.values():
        num = round(len(line) * float(part[:-1]) / 100) if part.endswith("%") else int(part)
        chosen += line[: max(num, sum(i in certain for i in line))]
    return sorted(chosen)


def classes_of(label: np.ndarray) -> list[int]:
    """Return the classes that a label () or (Q,) says are there."""
    return [int(label)] if label.ndim == 0 else np.flatnonzero(label == 1).tolist()
