"""What predicted masks say of all samples of an inference: the share of each class, and how well they agree with truth.

Shapes: S spatial axes, Q classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.measures import confusion

IOU, ACCURACY = "iou", "pixel_accuracy"
"""The columns of a sample's agreement with its true mask."""


@dataclass(frozen=True)
class Overlap:
    """How predicted cells agree with true ones, from counts (Q, Q) by true and predicted class."""

    matrix: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """The intersection over union (Q,) of each class; NaN for one that does not truly occur."""
        hits, truth, predicted = self.matrix.diagonal(), self.matrix.sum(1), self.matrix.sum(0)
        return np.where(truth > 0, hits / np.maximum(truth + predicted - hits, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """The mean over the classes that truly occur; NaN where nothing is judged."""
        iou = self.iou
        return float(np.nanmean(iou)) if not np.isnan(iou).all() else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of cells that are right; NaN where nothing is judged."""
        total = self.matrix.sum()
        return float(self.matrix.trace() / total) if total else float("nan")

    def of_constant(self, number: int) -> Overlap:
        """Return the same of a predictor that always says one class."""
        matrix = np.zeros_like(self.matrix)
        matrix[:, number] = self.matrix.sum(1)
        return Overlap(matrix)


class MaskTotals:
    """Counts the cells of masks, predicted and true."""

    def __init__(self, card: DataCard) -> None:
        self.classes, self.background = card.mask_classes, card.background
        self.num = self.num_known = 0
        """Samples, and those of them whose true mask is known."""
        self._cells = np.zeros(len(self.classes), np.int64)
        self._matrix = np.zeros((len(self.classes),) * 2, np.int64)

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
        own = Overlap(confusion(true, guess, len(self.classes)).numpy())
        self._matrix += own.matrix
        if not own.matrix.any():
            return {}
        return {IOU: round(own.mean_iou, 6), ACCURACY: round(own.accuracy, 6)}

    @property
    def shares(self) -> dict[str, float]:
        """Class → its share of all predicted cells."""
        total = max(int(self._cells.sum()), 1)
        return {name: num / total for name, num in zip(self.classes, self._cells.tolist(), strict=True)}

    @property
    def overlap(self) -> Overlap | None:
        """None where no true mask is known."""
        return Overlap(self._matrix) if self._matrix.any() else None

    @property
    def iou(self) -> dict[str, float]:
        """Class → its intersection over union, of classes that truly occur."""
        values = self.overlap.iou.tolist() if self.overlap else []
        return {name: value for name, value in zip(self.classes, values, strict=False) if value == value}

    @property
    def baseline(self) -> tuple[str, Overlap]:
        """The trivial predictor's name, and what it gets: all background, else the most frequent true class."""
        whole = Overlap(self._matrix)
        number = self.background if self.background is not None else int(self._matrix.sum(1).argmax())
        return f"all {self.classes[number]}", whole.of_constant(number)

    def record(self) -> dict[str, Any]:
        """Return the same for programs."""
        told: dict[str, Any] = {"samples": self.num, "known": self.num_known, "shares": self.shares}
        if (overlap := self.overlap) is None:
            return told
        name, constant = self.baseline
        return told | {
            "mean_iou": overlap.mean_iou,
            "pixel_accuracy": overlap.accuracy,
            "iou": self.iou,
            "baseline": {"name": name, "mean_iou": constant.mean_iou, "pixel_accuracy": constant.accuracy},
        }
