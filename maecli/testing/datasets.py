"""What a data set promises.

Shapes: C channels, H, W height and width, Q classes, K boxes.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import torch

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName, ends_of
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.errors import BrokenSample
from maecli.loading import make_loader
from maecli.registry import registry
from maecli.run.open import make_modality
from maecli.schema import AugmentSpec, DataSpec
from maecli.testing.finding import Broken, Finding, NotLookedAt, Stages, expect, find_all, must_work
from maecli.testing.imports import imports
from maecli.testing.options import check_class, check_options, spec
from maecli.testing.small import small_autoencoder, small_preprocess
from maecli.text import some

NUM_READ = 24
"""Samples of a split that are read, evenly spaced."""
MOST_COMPARED = 2_000
"""Pictures of a split that are compared with those of other splits."""
MOST_COUNTED = 5_000
"""Samples of train up to which its labels are counted."""
KNOWN = ("label", "mask", "boxes")
STACKED = {"image", "label", "mask"}
"""Fields that are alike in all samples, so that a batch can hold them."""
CARD_WAY = "return an api.DataCard, or raise api.DataError where data are missing"

Fields = tuple[str, ...]


class DatasetSubject:
    """A data set that is looked at; each of its cards and splits is made once."""

    def __init__(
        self, dataset: Dataset, fields: Sequence[Sequence[str]] | None = None, equal_pictures: int = 0
    ) -> None:
        self.dataset, self.plugin, self.equal_pictures = dataset, type(dataset), equal_pictures
        self.options, self._fields = dataset.options, fields
        self.card: Callable[[Fields], DataCard] = functools.cache(dataset.card)
        self.split: Callable[[SplitName, Fields], Split] = functools.cache(dataset.split)

    @cached_property
    def field_sets(self) -> list[Fields]:
        """What is asked for: pictures alone, and with each of the other fields that the card names."""
        if self._fields is not None:
            return [tuple(each) for each in self._fields]
        others = [field for field in self.dataset.card().fields if field in KNOWN]
        return [("image",), *(("image", field) for field in others)]

    def parts(self) -> Iterator[tuple[SplitName, Fields, Split]]:
        """Yield every split with each set of fields."""
        for fields in self.field_sets:
            for name in SPLIT_NAMES:
                yield name, fields, self.split(name, fields)

    def places(self, field: str = "") -> Iterator[tuple[str, Fields, Split, int]]:
        """Yield (where, fields, split, index) of some samples of every split, or where `field` is asked for."""
        for name, fields, split in self.parts():
            if not field or field in fields:
                for index in spaced(len(split), NUM_READ):
                    yield f"{name} sample {split.keys[index]!r}", fields, split, index

    def samples(self, field: str) -> Iterator[tuple[str, DataCard, Sample]]:
        """Yield (where, card, sample) of those that are asked for `field` and can be read.

        Raises `NotLookedAt` where no set of fields has it.
        """
        if not any(field in fields for fields in self.field_sets):
            raise NotLookedAt(f"samples carry no {field}")
        for where, fields, split, index in self.places(field):
            sample = read(split, index)
            if sample is not None:
                yield where, self.card(fields), sample


def spaced(num: int, most: int) -> list[int]:
    """Return at most so many positions of `num`, evenly spaced."""
    return list(range(num)) if num <= most else [i * num // most for i in range(most)]


def read(split: Split, index: int) -> Sample | None:
    """Return a sample, None where its file is broken, which a data set may have."""
    try:
        return split[index]
    except BrokenSample:
        return None


def options(subject: DatasetSubject) -> None:
    """The class has a name and a docstring; each option has a default and a description."""
    check_class(subject.plugin)
    check_options(subject.plugin, DatasetOptions)


def card(subject: DatasetSubject) -> None:
    """The card is complete, agrees with itself, and survives JSON."""
    plugin = subject.plugin
    with must_work("card() fails", CARD_WAY):
        sets = subject.field_sets
    for fields in sets:
        call = f"card({fields!r})"
        with must_work(f"{call} fails", CARD_WAY):
            card = subject.card(fields)
        expect(isinstance(card, DataCard), f"{call} returns {type(card).__name__}; return api.DataCard(…)")
        expect(card.name == plugin.name, f"{call} is named {card.name!r}; give it the data set's name {plugin.name!r}")
        expect(bool(card.title), f"{call} has an empty title; write one line that says what the data are")
        expect(bool(card.split_origin), f"{call} does not say where the splits come from; fill in split_origin")
        absent = [field for field in fields if field not in card.fields]
        expect(
            not absent,
            f"{call} does not name {some(absent)} among its fields {card.fields!r}; name all that samples can carry",
        )
        part, wanted = _parts_of(card)
        for name in ("mean", "std"):
            num = len(getattr(card, name))
            expect(num == wanted, f"{call} has {num} values of {name} for {wanted} {part}s; give one per {part}")
        outside = [value for value in card.mean if not 0 <= value <= 1]
        expect(
            not outside,
            f"{call} has a mean of {some(outside)}, outside [0, 1]; give it in units of value_range mapped to [0, 1], "
            "as api.measure.channel_stats does",
        )
        expect(min(card.std) > 0, f"{call} has a std of {min(card.std)}; it must be above 0 to divide by")
        expect(
            all(low < high for low, high in zip(*ends_of(card.value_range), strict=True)),
            f"{call} has the value_range {card.value_range}; give the lowest value, then the highest",
        )
        _check_names(call, card, fields)
        again = DataCard.model_validate_json(card.model_dump_json())
        expect(again == card, f"{call} comes back from JSON as another one; use plain strings and numbers")


def _parts_of(card: DataCard) -> tuple[str, int]:
    """Return what has a mean of its own, and how many there are."""
    if make_modality(card, registry()).per_cell and card.size is not None:
        return "cell", card.size[-1]
    return "channel", card.channels


def _check_names(call: str, card: DataCard, fields: Fields) -> None:
    for field, names, list_name in (
        ("label", card.classes, "classes"),
        ("mask", card.mask_classes, "mask_classes"),
    ):
        expect(
            field not in fields or bool(names),
            f"{call} has no {list_name}, though {field} was asked for; name them in the order of their numbers",
        )
        twice = sorted({name for name in names if names.count(name) > 1})
        expect(not twice, f"{call} names {some(twice)} more than once in {list_name}; give each a name of its own")
    inside = card.background is None or 0 <= card.background < max(1, len(card.mask_classes))
    expect(inside, f"{call} has background {card.background}, which is none of the {len(card.mask_classes)} classes")


def splits(subject: DatasetSubject) -> None:
    """Splits are as large as the card says; no key stands in two of them, or twice in one."""
    for fields in subject.field_sets:
        card, seen = subject.card(fields), dict[str, SplitName]()
        for name in SPLIT_NAMES:
            way = "return an api.Split, an empty one where there are no such samples"
            with must_work(f"split({name!r}, {fields!r}) fails", way):
                split = subject.split(name, fields)
            size = card.split_sizes.get(name, 0)
            expect(
                len(split) == size,
                f"split({name!r}, {fields!r}) has {len(split):,} samples and the card says {size:,}; count them for "
                "split_sizes from the splits themselves",
            )
            for key in split.keys:
                expect(
                    isinstance(key, str),
                    f"the key {key!r} of {name} is no text; name samples by a path or a number as text",
                )
                where = seen.setdefault(key, name)
                expect(
                    where is name,
                    f"key {key!r} is in {where} and in {name}; a sample belongs to one split, so that metrics are not "
                    "taken on what was learnt",
                )
            doubles = len(split) - len(set(split.keys))
            expect(doubles == 0, f"{doubles:,} keys of {name} are there twice; give each sample a key of its own")
        expect(
            card.split_sizes.get("train", 0) > 0, f"split('train', {fields!r}) is empty; there is nothing to learn from"
        )


def leaks(subject: DatasetSubject) -> None:
    """No picture of one split is in another, pixel by pixel."""
    seen: dict[bytes, tuple[str, str]] = {}
    pairs: list[tuple[str, str, str, str]] = []
    fields = subject.field_sets[0]
    for name in SPLIT_NAMES:
        split = subject.split(name, fields)
        for index in spaced(len(split), MOST_COMPARED):
            sample = read(split, index)
            if sample is None or "image" not in sample:
                continue
            image = np.ascontiguousarray(sample["image"])
            digest = hashlib.blake2b(image.tobytes() + str(image.shape).encode(), digest_size=16).digest()
            where, key = seen.setdefault(digest, (name, split.keys[index]))
            if where != name:
                pairs.append((where, key, name, split.keys[index]))
    if len(pairs) > subject.equal_pictures:
        where, key, there, other = pairs[0]
        raise Broken(
            f"{len(pairs):,} pictures are in two splits, pixel by pixel: {key!r} of {where} is {other!r} of {there}, "
            "for one; cut the splits so that equal pictures stay together, or, where the published data are so, say "
            f"so in the card's notes and to the kit (equal_pictures = {len(pairs)})"
        )


def samples(subject: DatasetSubject) -> None:
    """Samples hold the fields that were asked for; pictures have the card's channels, size and dtype."""
    for where, fields, split, index in subject.places():
        with must_work(f"{where} cannot be read", "raise api.BrokenSample(key, reason) for a file that is damaged"):
            sample = read(split, index)
        if sample is not None:
            _check_sample(where, sample, fields, subject.card(fields))
            if "image" in fields:
                size, shape = split.size(index), tuple(sample["image"].shape[1:])
                expect(size == shape, f"{where} is {shape}, and size({index}) says {size}; return what it is")


def _check_sample(where: str, sample: Sample, fields: Fields, card: DataCard) -> None:
    absent = [field for field in fields if field not in sample]
    expect(not absent, f"{where} has no {some(absent)}; leave out of split(…, {fields!r}) the samples that lack one")
    other = [field for field, array in sample.items() if not isinstance(array, np.ndarray | np.generic)]
    expect(not other, f"{where}: {some(other)} is a {type(sample[other[0]]).__name__ if other else ''}; give arrays")
    if "image" not in fields:
        return
    image = sample["image"]
    axes = make_modality(card, registry()).axes
    expect(
        image.ndim == 1 + axes,
        f"{where}: image has the shape {image.shape}; it must be (channels, …) and have {axes} axes after these",
    )
    expect(
        image.shape[0] == card.channels,
        f"{where}: image has {image.shape[0]} channels and the card says {card.channels}; the channels come first",
    )
    expect(
        card.size is None or tuple(image.shape[1:]) == tuple(card.size),
        f"{where}: image is {tuple(image.shape[1:])} and the card's size says {card.size}; set size=None where samples "
        "differ",
    )
    expect(
        str(image.dtype) == card.dtype,
        f"{where}: image is {image.dtype} and the card says {card.dtype}; make one of them say what the other does",
    )


def repeatable(subject: DatasetSubject) -> None:
    """A sample is the same when it is read again, and in another instance of the data set."""
    other = subject.plugin(subject.dataset.options)
    for name, fields, split in subject.parts():
        again = other.split(name, fields)
        expect(
            list(again.keys) == list(split.keys),
            f"split({name!r}, {fields!r}) has other keys, or another order, in a second instance; sort what is listed, "
            "and draw with a fixed seed",
        )
        for index in spaced(len(split), NUM_READ):
            sample = read(split, index)
            if sample is None:
                continue
            first = {field: np.array(array) for field, array in sample.items()}  # it may be read into the same memory
            for second, how in (
                (read(split, index), "when it is read twice"),
                (read(again, index), "in a second instance"),
            ):
                differing = [field for field in first if second is None or not _equal(first[field], second[field])]
                expect(
                    not differing,
                    f"{name} sample {split.keys[index]!r}: {some(differing)} differs {how}; leave random changes to "
                    "augment, and give a copy of what is kept",
                )


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def values(subject: DatasetSubject) -> None:
    """Pixels lie in the card's value_range."""
    for where, card, sample in subject.samples("image"):
        image = sample["image"]
        if image.dtype.kind == "f":
            expect(
                not bool(np.isinf(image).any()),
                f"{where}: image holds infinite values; replace them, or write NaN where a cell is missing",
            )
        there = ~np.isnan(image) & sample.get("valid", np.array(True))
        for cells, exist, low, high in _by_range(image, there, card):
            known = cells[exist]
            if known.size and not (low <= known.min() and known.max() <= high):
                raise Broken(
                    f"{where}: image goes from {known.min()} to {known.max()}, outside the card's value_range {low:g} "
                    f"to {high:g}; set value_range to what the data can hold"
                )


def _by_range(
    image: np.ndarray, there: np.ndarray, card: DataCard
) -> Iterator[tuple[np.ndarray, np.ndarray, float, float]]:
    """Yield the cells (…) of an image that share a range, which of them exist, and the ends of the range."""
    if _parts_of(card)[0] == "cell":
        image, there = np.moveaxis(image, -1, 0), np.moveaxis(there, -1, 0)
    lows, highs = (np.resize(ends, len(image)) for ends in ends_of(card.value_range))
    yield from zip(image, there, lows, highs, strict=True)


def labels(subject: DatasetSubject) -> None:
    """Labels are numbers of the card's classes, as often as it counts them."""
    for where, card, sample in subject.samples("label"):
        label, Q = sample["label"], len(card.classes)
        if card.multi_label:
            expect(
                label.shape == (Q,) and label.dtype == np.int8,
                f"{where}: label is {label.dtype} of shape {label.shape}; several labels are int8 of shape ({Q},)",
            )
            odd = sorted({*label.tolist()} - {-1, 0, 1})
            expect(
                not odd,
                f"{where}: label holds {some(odd)}; write 1 for present, 0 for absent, -1 for not to be judged",
            )
            continue
        expect(
            label.shape == () and label.dtype == np.int64,
            f"{where}: label is {label.dtype} of shape {label.shape}; one label is int64 of shape ()",
        )
        expect(
            0 <= int(label) < Q,
            f"{where}: label {int(label)} is none of the {Q} classes, which count from 0; leave samples without a "
            "label out of the splits that are asked for it",
        )
    _check_labels_alone(subject)
    fields = next(fields for fields in subject.field_sets if "label" in fields)
    card, train = subject.card(fields), subject.split("train", fields)
    if card.class_counts and len(train) <= MOST_COUNTED:
        marks = np.stack([each["label"] for i in range(len(train)) if (each := read(train, i)) is not None])
        counts = (marks == 1).sum(0) if card.multi_label else np.bincount(marks, minlength=len(card.classes))
        expect(
            len(marks) < len(train) or tuple(counts.tolist()) == card.class_counts,
            f"train has {some(counts.tolist())} samples of the classes in turn and the card's class_counts are "
            f"{some(card.class_counts)}; count them from split('train', {fields!r})",
        )


def _check_labels_alone(subject: DatasetSubject) -> None:
    for where, _, split, index in subject.places("label"):
        label, sample = split.label(index), read(split, index)
        if label is not None and sample is not None:
            expect(
                _equal(np.asarray(label), np.asarray(sample["label"])),
                f"{where}: label({index}) says {label}, and the sample {sample['label']}; return the same, or None "
                "where a sample would have to be decoded",
            )


def masks(subject: DatasetSubject) -> None:
    """Masks are as large as their images, and hold numbers of the card's mask classes, or its void."""
    for where, card, sample in subject.samples("mask"):
        mask, size = sample["mask"], sample["image"].shape[1:]
        expect(
            mask.dtype.kind in "iu" and mask.shape == size,
            f"{where}: mask is {mask.dtype} of shape {mask.shape} for an image of {size}; give integers of the same "
            "size",
        )
        odd = sorted({*np.unique(mask).tolist()} - {*range(len(card.mask_classes)), card.void})
        expect(
            not odd,
            f"{where}: mask holds {some(odd)}, none of the {len(card.mask_classes)} mask classes; write {card.void} "
            "where nothing is to be judged",
        )


def boxes(subject: DatasetSubject) -> None:
    """Boxes are left, top, right, bottom in pixels, inside their pictures."""
    for where, _, sample in subject.samples("boxes"):
        corners = sample["boxes"]
        expect(
            corners.ndim == 2 and corners.shape[1] == 4 and corners.dtype == np.float32,
            f"{where}: boxes are {corners.dtype} of shape {corners.shape}; give float32 of shape (K, 4)",
        )
        H, W = sample["image"].shape[1:]
        left, top, right, bottom = corners.T
        inside = (left >= 0) & (top >= 0) & (left < right) & (top < bottom) & (right <= W) & (bottom <= H)
        expect(
            bool(inside.all()),
            f"{where}: box {some(corners[~inside].tolist(), 1)} is empty or leaves the image of {W} × {H}; boxes are "
            "left, top, right, bottom, counted from 0, right and bottom exclusive",
        )


def files(subject: DatasetSubject) -> None:
    """The files that a split names for its samples are there."""
    for where, _, split, index in subject.places():
        paths = split.files(index)
        others = [type(path).__name__ for path in paths if not isinstance(path, Path)]
        expect(not others, f"{where}: files({index}) gives {some(others)}; give paths, as pathlib.Path")
        lost = [path.name for path in paths if not path.is_file()]
        expect(
            not lost or read(split, index) is None,
            f"{where}: files({index}) names {some(lost)}, which is no file; name what the sample is read from",
        )


def workers(subject: DatasetSubject) -> None:
    """Splits that are read from files can be handed to worker processes."""
    for name, fields, split in subject.parts():
        if isinstance(split, TensorSplit):
            continue  # it lives in memory, and no worker reads it
        way = "keep paths and numbers in it, no open files, locks or local functions"
        with must_work(f"split({name!r}, {fields!r}) cannot be handed to a worker process", way):
            ForkingPickler.dumps(split)


def training(subject: DatasetSubject) -> None:
    """A batch of train goes through loading and a tiny masked autoencoder, and gives a finite loss."""
    for fields in subject.field_sets:
        if "image" not in fields or not {*fields} <= STACKED:
            continue
        card, split = subject.card(fields), subject.split("train", fields)
        preprocess = small_preprocess(card)
        loader = make_loader(split, preprocess, torch.device("cpu"), 0, DataSpec(workers=0), lambda _: None)
        batch = next(loader.train_batches(AugmentSpec(), min(8, len(split)), 0, 1))
        image = batch["image"]
        far = float(image.abs().max())
        expect(
            bool(torch.isfinite(image).all()),
            f"a batch of train asked for {fields!r} holds values that are no numbers; a picture must be finite after "
            "normalising by the card's mean and std",
        )
        loss = small_autoencoder(batch, preprocess).detach()
        expect(
            bool(torch.isfinite(loss)),
            f"a masked autoencoder has the loss {float(loss)} on a batch of train, whose normalised pixels reach "
            f"{far:.3g}; look at the card's mean, std and value_range",
        )


STAGES: Stages = (
    (options, spec, imports),
    (card,),
    (splits,),
    (samples, workers),
    (repeatable, values, labels, masks, boxes, files),
    (leaks, training),
)


def check_dataset(
    dataset: Dataset, fields: Sequence[Sequence[str]] | None = None, equal_pictures: int = 0
) -> list[Finding]:
    """Return a finding for each promise of a data set.

    `fields` are the sets of fields to ask for; by default pictures alone, and pictures with each field that its card
    names. `equal_pictures` is how many pictures of val and test are known to be in another split too.
    """
    return find_all(STAGES, DatasetSubject(dataset, fields, equal_pictures))
