"""What predicted masks say of all samples of an inference: the share of each class, and how well they agree with truth.

Shapes: S spatial axes, Q classes, K pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.measures import confusion
from maecli.overlap import class_iou, constant_counts, overlap_counts, overlap_intervals, overlap_scores

IOU, ACCURACY = "iou", "pixel_accuracy"
"""The columns of a sample's agreement with its true mask."""
MEAN_IOU = "mean_iou"


@dataclass(frozen=True)
class Overlap:
    """How predicted masks agree with true ones, from the counts (K, 3, Q) of pictures: see `maecli.overlap`."""

    pictures: NDArray[np.int64]
    classes: Sequence[str]
    background: int | None

    @cached_property
    def total(self) -> NDArray[np.int64]:
        """The counts (3, Q) of all pictures together."""
        return np.asarray(self.pictures.sum(0))

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """`mean_iou`, over the classes that truly occur, and `pixel_accuracy`."""
        return _named(overlap_scores(self.total, self.background))

    @cached_property
    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """The 95% interval of each score, by resampling whole pictures; empty for a single one."""
        return _named(overlap_intervals(self.pictures, self.background))

    @property
    def iou(self) -> dict[str, float]:
        """Class → its intersection over union, of classes that truly occur."""
        each = zip(self.classes, class_iou(self.total).tolist(), self.total[1].tolist(), strict=True)
        return {name: share for name, share, occurs in each if occurs}

    @property
    def baseline(self) -> tuple[str, Mapping[str, float]]:
        """The trivial predictor's name, and its scores: all background, else the most frequent true class."""
        number = self.background if self.background is not None else int(self.total[1].argmax())
        scores = overlap_scores(constant_counts(self.total, number), self.background)
        return f"all {self.classes[number]}", _named(scores)

    def record(self) -> dict[str, Any]:
        """Return the same for programs."""
        name, scores = self.baseline
        intervals = {name: list(interval) for name, interval in self.intervals.items()}
        baseline = {"name": name, **scores}
        return {**self.scores, "intervals": intervals, "iou": self.iou, "baseline": baseline}


def _named(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of the scores of `maecli.overlap`, or of their intervals."""
    names = {MEAN_IOU: "miou", ACCURACY: "pixel_accuracy"}
    told = {name: scores[key] for name, key in names.items() if key in scores}
    return {name: value if isinstance(value, tuple) else float(value) for name, value in told.items()}


class MaskTotals:
    """Counts the cells of masks, predicted and true."""

    def __init__(self, card: DataCard) -> None:
        self.classes, self.background = card.mask_classes, card.background
        self.num = self.num_known = 0
        """Samples, and those of them whose true mask is known."""
        self._cells = np.zeros(len(self.classes), np.int64)
        self._judged: list[NDArray[np.int64]] = []
        self._overlap: Overlap | None = None

    def add(self, predicted: NDArray[Any], truth: NDArray[Any] | None = None) -> dict[str, float]:
        """Take a sample's classes (*S), and the true ones of the same shape if they are known.

        Numbers in `truth` that no class has are not judged. Returns the columns of its agreement, where something is.
        """
        self.num += 1
        self._cells += np.bincount(predicted.ravel(), minlength=len(self.classes))
        if truth is None:
            return {}
        self.num_known += 1
        true, guess = (torch.from_numpy(each.astype(np.int64)) for each in (truth, predicted))
        counts = overlap_counts(confusion(true, guess, len(self.classes))).numpy()
        if not counts[1].any():
            return {}
        self._judged.append(counts)
        self._overlap = None
        own = _named(overlap_scores(counts, self.background))
        return {IOU: round(own[MEAN_IOU], 6), ACCURACY: round(own[ACCURACY], 6)}

    @property
    def shares(self) -> dict[str, float]:
        """Class → its share of all predicted cells."""
        total = max(int(self._cells.sum()), 1)
        return {name: num / total for name, num in zip(self.classes, self._cells.tolist(), strict=True)}

    @property
    def overlap(self) -> Overlap | None:
        """None where no true mask is known."""
        if self._overlap is None and self._judged:
            self._overlap = Overlap(np.stack(self._judged), self.classes, self.background)
        return self._overlap

    def record(self) -> dict[str, Any]:
        """Return the same for programs."""
        told: dict[str, Any] = {"samples": self.num, "known": self.num_known, "shares": self.shares}
        return told | (self.overlap.record() if self.overlap is not None else {})
