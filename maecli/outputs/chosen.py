"""The few predictions of an inference that its page shows, chosen as they come: how many there are takes no memory."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from numpy.typing import NDArray

from maecli.least import Least
from maecli.outputs.mask_totals import IOU
from maecli.outputs.rows import Row
from maecli.outputs.summary import TRUTH
from maecli.training.task import Answer, Prediction

NUM_MISTAKES, NUM_UNCERTAIN, NUM_MASKS, NUM_OF_CLASS = 36, 24, 24, 6
MOST_CLASSES = 1000
"""Classes of which samples are held; the page shows those of the most frequent."""
MASK_SIDE = 640
"""Cells of a side that are kept of a mask, at most about twice as many."""


@dataclass(frozen=True)
class Chosen:
    """A prediction that is shown."""

    index: int
    """The position of its sample."""
    row: Row
    mask: NDArray[Any] | None = None
    """The predicted classes (h, w) of a picture's pixels, every n-th of them."""
    drawing: bytes | None = None
    """A PNG of the prediction, of a sample that is no picture."""

    @property
    def key(self) -> str:
        return str(self.row["path"])


@dataclass
class Choice:
    """Mistakes, the most certain first, the least certain, samples of each class; of masks those that agree least."""

    answer: Answer | None
    pictorial: bool = True
    """Whether samples are pictures, on which their masks can be shown."""
    mistakes: Least[Chosen] = field(default_factory=lambda: Least(NUM_MISTAKES))
    uncertain: Least[Chosen] = field(default_factory=lambda: Least(NUM_UNCERTAIN))
    disagreements: Least[Chosen] = field(default_factory=lambda: Least(NUM_MASKS))
    masks: Least[Chosen] = field(default_factory=lambda: Least(NUM_MASKS))
    """Any of them, where no true mask is known."""
    by_class: dict[str, Least[Chosen]] = field(default_factory=dict)

    def add(self, index: int, key: str, prediction: Prediction) -> None:
        """Take the prediction of the sample at a position."""
        row, mask = {"path": key, **prediction.row}, prediction.mask
        if mask is not None:
            step = 1 + max(mask.shape) // (2 * MASK_SIDE)
            keep = (
                partial(_with_mask, index, row, mask[::step, ::step])
                if self.pictorial
                else partial(_drawn, index, row, prediction)
            )
            if IOU in row:
                self.disagreements.add(float(row[IOU]), index, keep)
            else:
                self.masks.add(_lot(key), index, keep)
        elif self.answer is not None:
            self._add_answer(index, row, self.answer)

    def _add_answer(self, index: int, row: Row, answer: Answer) -> None:
        said, certainty = str(row[answer.column]), answer.probability or answer.margin
        told = {name: row[name] for name in row if name in {"path", TRUTH, *vars(answer).values()}}

        def keep() -> Chosen:
            return Chosen(index, told)

        if TRUTH in row and row[TRUTH] != said:
            self.mistakes.add(-float(row[certainty]) if certainty else 0.0, index, keep)
        if answer.margin:
            self.uncertain.add(float(row[answer.margin]), index, keep)
        for name in said.split(";") if answer.several else [said]:
            if name in self.by_class or len(self.by_class) < MOST_CLASSES:
                self.by_class.setdefault(name, Least(NUM_OF_CLASS)).add(_lot(str(row["path"])), index, keep)


def _with_mask(index: int, row: Row, mask: NDArray[Any]) -> Chosen:
    return Chosen(index, row, mask.copy())


def _drawn(index: int, row: Row, prediction: Prediction) -> Chosen:
    png = next((contents for suffix, contents in prediction.files.items() if suffix.endswith(".png")), None)
    return Chosen(index, row, drawing=png() if callable(png) else png)


def _lot(key: str) -> float:
    """Return a number that a sample draws, the same in every inference."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(key), digest_size=6).digest())
