"""One pass over what is annotated: labels, targets, masks and boxes of a split, counted by class.

Shapes: Q classes or targets, K boxes of a sample, R regions of a mask, S spatial axes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from maecli.data.card import DataCard
from maecli.data.sample import Split, TensorSplit
from maecli.data.statistics import cell_counts
from maecli.eda.findings import Boxes, Labels, Masks
from maecli.eda.parallel import Room, Scan
from maecli.modalities.survey import Values

Numbers = NDArray[np.float64]
SPECK = 2e-4
"""Share of a mask below which a connected region is no object of its own: bits that a void border cuts off."""


@dataclass
class LabelScan(Scan):
    """Labels of a split, one row per sample that has them."""

    rows: list[NDArray[np.int8]] = field(default_factory=list)
    """(Q,) per sample: 1 present, 0 absent, -1 not to be judged."""

    def summary(self, num_classes: int) -> Labels:
        rows = np.array(self.rows, np.int8).reshape(-1, num_classes)
        return Labels(
            num=len(rows), present=tuple((rows == 1).sum(0).tolist()), not_judged=tuple((rows == -1).sum(0).tolist())
        )

    def showing(self, number: int) -> list[int]:
        """Return the positions, in the split, of the samples of a class."""
        return [index for index, row in zip(self.ids, self.rows, strict=True) if row[number] == 1]


@dataclass(frozen=True)
class _Mask:
    pixels: NDArray[np.int64]
    """(Q,) pixels of each class."""
    void: int
    region_classes: NDArray[np.int64]
    """(R,)"""
    region_areas: Numbers
    """(R,) share of the mask."""


@dataclass
class MaskScan(Scan):
    """Masks of a split."""

    masks: list[_Mask] = field(default_factory=list)

    def summary(self, card: DataCard) -> Masks | None:
        """Return the counts; None for a split without masks."""
        if not self.masks:
            return None
        num_classes = len(card.mask_classes)
        per_mask = np.array([mask.pixels for mask in self.masks])  # (N, Q)
        pixels = per_mask.sum(0)
        constant = int(pixels.argmax()) if card.background is None else card.background
        accuracy = float(pixels[constant] / max(1, pixels.sum()))
        regions = np.concatenate([mask.region_classes for mask in self.masks])
        return Masks(
            num=len(self.masks),
            images=tuple((per_mask > 0).sum(0).tolist()),
            objects=tuple(np.bincount(regions, minlength=num_classes).tolist()),
            pixels=tuple(pixels.tolist()),
            void_pixels=sum(mask.void for mask in self.masks),
            constant=constant,
            constant_accuracy=accuracy,
            # every class but the constant one has an IoU of 0, and that one is as right as it is accurate
            constant_miou=accuracy / max(1, int((pixels > 0).sum())),
        )

    def foreground(self, card: DataCard) -> Numbers:
        """Return the share (N,) of each mask's judged pixels that is not background; masks of void alone have none."""
        masks = [mask for mask in self.masks if mask.pixels.any()]
        background = 0 if card.background is None else np.array([mask.pixels[card.background] for mask in masks])
        return np.asarray(1 - background / np.array([mask.pixels.sum() for mask in masks]), np.float64)

    def region_areas(self) -> Numbers:
        return np.concatenate([np.zeros(0), *(mask.region_areas for mask in self.masks)])

    def showing(self, number: int) -> list[int]:
        """Return the positions, in the split, of the masks that show a class."""
        return [index for index, mask in zip(self.ids, self.masks, strict=True) if mask.pixels[number]]


@dataclass
class BoxScan(Scan):
    """Boxes of a split."""

    classes: list[NDArray[np.int64]] = field(default_factory=list)
    """(K,) per sample."""
    areas: list[Numbers] = field(default_factory=list)
    """(K,) per sample, as shares of the picture."""
    aspects: list[Numbers] = field(default_factory=list)
    """(K,) per sample, width / height."""

    def summary(self, num_classes: int) -> Boxes | None:
        """Return the counts; None for a split without annotated samples."""
        if not self.ids:
            return None
        present = [np.bincount(np.unique(classes), minlength=num_classes) for classes in self.classes]
        return Boxes(
            num=len(self.ids),
            images=tuple(np.sum(present, axis=0).tolist()),
            objects=tuple(np.bincount(np.concatenate(self.classes), minlength=num_classes).tolist()),
        )


def scan_labels(split: Split, card: DataCard, tick: Callable[[], None]) -> LabelScan:
    """Read every label of a split, calling `tick` after each sample."""
    scan = LabelScan()
    tensor = split.tensors.get("label") if isinstance(split, TensorSplit) else None
    look = (lambda i: split[i]["label"]) if tensor is None else (lambda i: tensor[i].numpy())
    for label in scan.read(look, len(split), tick):
        row = label if card.multi_label else np.arange(card.num_classes) == label
        scan.rows.append(np.asarray(row, np.int8))
    return scan


@dataclass
class TargetScan(Scan):
    """Numbers to predict of a split."""

    values: Values | None = None


def scan_targets(split: Split, tick: Callable[[], None]) -> TargetScan:
    """Read every target (Q,) of a split, calling `tick` after each sample."""
    scan = TargetScan()
    for target in scan.read(lambda index: np.atleast_1d(split[index]["target"])[:, None], len(split), tick):
        values = Values.of(target, ~np.isnan(target))
        scan.values = values if scan.values is None else scan.values + values
    return scan


def scan_masks(split: Split, card: DataCard, tick: Callable[[], None]) -> MaskScan:
    """Count every mask of a split, calling `tick` after each."""
    scan, room, sizes_are_known = MaskScan(), Room(), type(split).size is not Split.size

    def count(index: int) -> _Mask:
        with room.taken(split.size(index)) if sizes_are_known else contextlib.nullcontext():
            return _count_mask(split[index]["mask"], card)

    scan.masks += scan.read(count, len(split), tick)
    return scan


def scan_boxes(split: Split, tick: Callable[[], None]) -> BoxScan:
    """Measure every box of a split, calling `tick` after each sample."""

    def measure(index: int) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        sample = split[index]
        height, width = split.size(index)
        left, top, right, bottom = np.asarray(sample["boxes"], np.float64).reshape(-1, 4).T
        wide, high = np.maximum(right - left, 0), np.maximum(bottom - top, 0)
        return np.asarray(sample["box_label"], np.int64), wide * high / (height * width), wide / np.maximum(high, 1e-9)

    scan = BoxScan()
    for classes, areas, aspects in scan.read(measure, len(split), tick):
        scan.classes.append(classes)
        scan.areas.append(areas)
        scan.aspects.append(aspects)
    return scan


def _count_mask(mask: NDArray[np.integer], card: DataCard) -> _Mask:
    """Return the parts of each class in a mask (*S), and the connected regions of those that are objects.

    Parts of a region touch each other, at corners too.
    """
    num_classes, neighbours = len(card.mask_classes), np.ones((3,) * mask.ndim, int)
    counts = cell_counts(mask, num_classes)
    void = int((mask == card.void).sum())
    if 0 <= card.void < num_classes:
        counts[card.void] = 0
    classes: list[int] = []
    areas: list[float] = []
    for number in np.flatnonzero(counts).tolist():
        if number == card.background:
            continue
        regions, num = ndimage.label(mask == number, neighbours)
        shares = cell_counts(regions, num + 1)[1:] / mask.size
        shares = shares[shares >= SPECK]
        classes += [number] * len(shares)
        areas += shares.tolist()
    return _Mask(counts, void, np.array(classes, np.int64), np.array(areas))
