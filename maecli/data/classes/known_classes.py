"""A data set seen with the eyes of a run: its classes have the run's numbers, matched by name.

Shapes: N samples, Q classes of the run, R classes of the data, K boxes, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.classes.class_names import (
    UNKNOWN,
    ClassMatch,
    describe_match,
    describe_missing,
    describe_unknown,
    match_classes,
    quoted,
)
from maecli.data.dataset import Dataset
from maecli.data.labels import labels_by_key
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.data.views.wrapped import WrappedDataset
from maecli.errors import BrokenSample, DataError

OF_LABELS = frozenset({"label", "box_label"})
"""Fields whose numbers are the card's `classes`."""
IGNORE = "mae eval --ignore-unknown-classes"
NOT_KNOWN = "which the run does not know"
NOT_JUDGED = -1
"""In a label (Q,) of several: nobody said whether the class is there."""


@dataclass(frozen=True)
class Renumbering:
    """How the numbers of a data set become those of a run; None where they are the same or nobody asks for them."""

    label: ClassMatch | None = None
    multi_label: bool = False
    mask: ClassMatch | None = None
    void: tuple[int, int] = (255, 255)
    """Of the data and of the run."""

    def sample(self, sample: Sample, key: str) -> Sample:
        """Return a sample, or the stacked samples of a split, with the run's numbers.

        Raises BrokenSample for a label that the run does not know, and for a mask with a number that nothing has.
        """
        changed = dict(sample)
        for field in ("label", "box_label"):
            if self.label is not None and field in sample:
                labels = np.asarray(sample[field])
                several = self.multi_label and field == "label"
                changed[field] = self.several(labels) if several else self.labels(labels)
                unknown = labels[(labels >= 0) & (changed[field] == UNKNOWN)] if not several else labels[:0]
                if len(unknown):
                    raise BrokenSample(key, f"is of the class {self.label.theirs[unknown[0]]!r}, {NOT_KNOWN}")
        for field in ("mask", "own_mask"):
            if self.mask is not None and field in sample:
                try:
                    changed[field] = self.masks(sample[field])
                except ValueError as error:
                    raise BrokenSample(key, str(error)) from error
        return changed

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Return labels () or (N,) with the run's numbers, `UNKNOWN` for what it does not know."""
        assert self.label is not None
        return np.where(labels < 0, labels, _numbers(self.label)[labels])

    def several(self, labels: np.ndarray) -> np.ndarray:
        """Return labels (R,) or (N, R) as (Q,) or (N, Q): what the run does not know has no column."""
        assert self.label is not None
        numbers = _numbers(self.label)
        known = numbers != UNKNOWN
        columns = np.full((*labels.shape[:-1], len(self.label.ours)), NOT_JUDGED, labels.dtype)
        columns[..., numbers[known]] = labels[..., known]
        return columns

    def masks(self, masks: np.ndarray) -> np.ndarray:
        """Return masks of any shape with the run's numbers; what the run does not know is void.

        Raises ValueError for a number that is neither a class of the data nor void.
        """
        assert self.mask is not None
        (theirs, ours), num = self.void, len(self.mask.theirs)
        places = np.where(masks == theirs, num, masks.astype(np.int64))
        strange = places[(places < 0) | (places > num)]
        if len(strange):
            raise ValueError(f"mask has the number {strange[0]}, and the data have {num} mask classes, from 0")
        numbers = np.append(_numbers(self.mask), UNKNOWN)
        numbers[numbers == UNKNOWN] = ours
        fits = numbers.max() <= np.iinfo(masks.dtype).max
        return numbers.astype(masks.dtype if fits else np.int32)[places]


class Renumbered(Split):
    """A split whose samples have the numbers of a run."""

    def __init__(self, split: Split, renumbering: Renumbering) -> None:
        self.split, self.renumbering = split, renumbering

    @property
    def keys(self) -> Sequence[str]:
        return self.split.keys

    def __getitem__(self, index: int) -> Sample:
        return self.renumbering.sample(self.split[index], self.keys[index])

    def size(self, index: int) -> tuple[int, ...]:
        return self.split.size(index)

    def own_size(self, index: int) -> tuple[int, ...]:
        return self.split.own_size(index)

    def small(self, index: int, at_least: int) -> np.ndarray:
        return self.split.small(index, at_least)

    def files(self, index: int) -> Sequence[Path]:
        return self.split.files(index)

    def label(self, index: int) -> np.ndarray | None:
        label = self.split.label(index)
        if label is None or self.renumbering.label is None:
            return label
        return self.renumbering.sample({"label": np.asarray(label)}, self.keys[index])["label"]


def renumbered(split: Split, renumbering: Renumbering) -> Split:
    """Return a split with the numbers of a run; tensors stay in memory. Raises DataError for a mask of such numbers."""
    if not isinstance(split, TensorSplit):
        return Renumbered(split, renumbering)
    try:
        arrays = {name: tensor.numpy() for name, tensor in split.tensors.items()}
        changed = renumbering.sample(arrays, "")
    except BrokenSample as broken:
        raise DataError(f"a sample cannot be used: {broken.fault.reason}") from broken
    tensors = {
        name: tensor if changed[name] is arrays[name] else torch.from_numpy(np.ascontiguousarray(changed[name]))
        for name, tensor in split.tensors.items()
    }
    return TensorSplit(tensors, split.keys)


class KnownClasses(WrappedDataset):
    """A data set with the classes of a run, whose card is `known`; samples of other classes are left out.

    Raises DataError, where the classes of the data are first needed, for those that the run does not know and for those
    of the run that they lack, unless that is to be ignored; where the run knows none of them; and where one has several
    labels per sample and the other has not.
    """

    def __init__(
        self,
        dataset: Dataset,
        known: DataCard,
        fields: Sequence[str] = ("image",),
        ignore_unknown: bool = False,
        source: Dataset | None = None,
    ) -> None:
        """Take the samples of `dataset`; what is left out is counted in `source` too, which may have more."""
        super().__init__(dataset)
        self.known, self.fields, self.source = known, tuple(fields), source or dataset
        self._theirs = theirs = dataset.card(fields)  # to make one may take a look at every sample
        self.label = match_classes(theirs.classes, known.classes) if OF_LABELS & {*fields} else None
        self.mask = match_classes(theirs.mask_classes, known.mask_classes) if "mask" in fields else None
        if self.label is not None and theirs.multi_label != known.multi_label:
            one, several = "one label per sample", "several labels per sample"
            data, run = (several, one) if theirs.multi_label else (one, several)
            raise DataError(f"the data have {data} and the run learnt {run}, so their labels cannot be compared")
        if self.label is not None:
            unknown = "these labels" if known.multi_label else "their samples"
            _check(self.label, unknown, ignore_unknown)
        if self.mask is not None:
            _check(self.mask, "their pixels", ignore_unknown)
        changed_void = self.mask is not None and theirs.void != known.void
        self.renumbering = Renumbering(
            label=None if self.label is None or self.label.is_same else self.label,
            multi_label=known.multi_label,
            mask=None if self.mask is None or (self.mask.is_same and not changed_void) else self.mask,
            void=(theirs.void, known.void),
        )

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        """Return the card of the data: the names of their classes are their own."""
        return self._theirs if tuple(fields) == self.fields else self.dataset.card(fields)

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        split = self.dataset.split(name, fields)
        if self.renumbering.label is None and self.renumbering.mask is None:
            return split
        if self.label is not None and self.label.unknown and "label" in fields and not self.known.multi_label:
            split = self._of_known_classes(split, name)
        return renumbered(split, self.renumbering)

    def _of_known_classes(self, split: Split, name: SplitName) -> Split:
        """Return the samples of a split whose one label the run knows, or cannot be read."""
        assert self.label is not None
        labels = labels_by_key(self.dataset, name, split)
        known = [q < 0 or self.label.numbers[q] != UNKNOWN for q in map(int, labels.distinct)]
        ids = np.flatnonzero(np.array([*known, True])[labels.codes_of(split.keys)])
        return split.view(ids.tolist()) if len(ids) < len(split) else split

    def left_out(self, name: SplitName) -> dict[str, int]:
        """Return what of a split is not looked at because the run does not know its class, in words, and how much."""
        counts: dict[str, int] = {}
        if self.label is not None and self.label.unknown:
            labels = self._labels(name)
            what = "labels " if self.known.multi_label else ""
            for q, number in enumerate(self.label.numbers):
                if number == UNKNOWN:
                    counts[_reason(what, self.label.theirs[q])] = sum(
                        bool(label[q] == 1 if label.ndim else label == q) for label in labels
                    )
        if self.mask is not None and self.mask.unknown:
            pixels = self._pixels(name)
            for q, number in enumerate(self.mask.numbers):
                if number == UNKNOWN:
                    counts[_reason("pixels ", self.mask.theirs[q])] = pixels[q]
        return counts

    def _labels(self, name: SplitName) -> list[np.ndarray]:
        """Return the labels of a split's samples, and of those that the source has there and no split has."""
        split = self.dataset.split(name, self.fields)
        labels = [*labels_by_key(self.dataset, name, split).values()]
        if self.source is not self.dataset:
            others = {key for other in SPLIT_NAMES for key in self.dataset.split(other, self.fields).keys}
            added = labels_by_key(self.source, name, self.source.split(name, self.fields))
            labels += [label for key, label in added.items() if key not in others]
        return labels

    def _pixels(self, name: SplitName) -> list[int]:
        """Return how many cells of a split's masks have each class of the data."""
        assert self.mask is not None
        num = len(self.mask.theirs)
        kept = set(self.dataset.split(name, self.fields).keys)
        split = self.dataset.split(name, ("mask",))
        counts = np.zeros(num, np.int64)
        for i, key in enumerate(split.keys):
            if key in kept:
                with suppress(BrokenSample):  # told of when it is read for use
                    mask = split[i]["mask"].ravel()
                    counts += np.bincount(mask[(mask >= 0) & (mask < num)], minlength=num)
        return [int(count) for count in counts]

    def sentences(self) -> list[str]:
        """Return what a person should know of how classes were matched."""
        pairs = ((self.label, "class"), (self.mask, "mask class"))
        return [sentence for match, kind in pairs if match is not None for sentence in describe_match(match, kind)]


def _check(match: ClassMatch, what: str, ignore_unknown: bool) -> None:
    """Raise DataError where classes are unknown or missing and that is not to be ignored, or none is known."""
    if len(match.unknown) == len(match.theirs):
        theirs = quoted(match.theirs) if match.theirs else "none"
        raise DataError(
            f"the run knows none of the classes of these data: they have {theirs}, and it knows {quoted(match.ours)}; "
            "give --root the data of these classes, or train on these: mae finetune --init RUN"
        )
    if match.unknown and not ignore_unknown:
        raise DataError(f"{describe_unknown(match)}; call them as the run does, or leave {what} out by {IGNORE}")
    if match.missing and not ignore_unknown:
        raise DataError(f"{describe_missing(match)}; give --root all of them, or measure without by {IGNORE}")


def _numbers(match: ClassMatch) -> np.ndarray:
    return np.array(match.numbers, np.int64)


def _reason(what: str, name: str) -> str:
    """Say why something is left out: samples, if nothing else is named."""
    return f"{what}of the class {name!r}, {NOT_KNOWN}"
