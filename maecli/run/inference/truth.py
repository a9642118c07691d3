"""What is known of the truth of a person's own samples: labels of folders and tables, masks that lie beside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from maecli.data.card import DataCard
from maecli.errors import BrokenSample
from maecli.modalities.modality import Modality
from maecli.outputs.mask_totals import MaskTotals
from maecli.outputs.rows import Row
from maecli.outputs.sentences import Unit
from maecli.outputs.summary import with_truth
from maecli.run.inference.own_files import OwnFiles
from maecli.training.task import Answer, Prediction, Task


class Truth:
    """Labels and masks by the keys of samples, and what masks say of all."""

    def __init__(self, own: OwnFiles, task: Task[Any], modality: Modality, card: DataCard) -> None:
        self.answer, self.unit = task.answer, Unit(modality.one, modality.unit)
        self.labels = own.labels(card) if "label" in task.fields else None
        self.known = own.masks(modality, card) if "mask" in task.fields else None
        self.masks = MaskTotals(card) if "mask" in task.fields else None
        """Of predicted masks, and of how they agree with true ones."""
        self._unusable: dict[str, str] = {}

    def problems(self) -> Iterator[str]:
        """Yield why labels or masks that are there are not used, as far as is known before any is read."""
        if self.labels is not None and self.labels.problem:
            yield self.labels.problem
        if self.known is not None and self.known.problem:
            yield self.known.problem

    def unusable(self) -> Iterator[str]:
        """Yield how many masks could not be used, with one of them."""
        if self._unusable:
            (key, reason), num = next(iter(self._unusable.items())), len(self._unusable)
            yield f"the true masks of {self.unit.of(num)} cannot be used, such as that of {key}: {reason}"

    def complete(self, key: str, prediction: Prediction) -> Prediction:
        """Return a prediction whose row also tells the truth, or how well the mask agrees with the true one."""
        row: Row = prediction.row
        if self.answer is not None and self.labels is not None:
            row = with_truth(row, self.answer, self.labels.name(key))
        if self.masks is not None and prediction.mask is not None:
            truth = self._mask(key)
            if truth is not None and truth.shape != prediction.mask.shape:
                self._unusable[key] = f"it is of the size {_size(truth.shape)}, not {_size(prediction.mask.shape)}"
                truth = None
            row = _behind_answer(row, self.answer, self.masks.add(prediction.mask, truth))
        return replace(prediction, row=dict(row))

    def _mask(self, key: str) -> Any:
        if self.known is None or key not in self.known.files:
            return None
        try:
            return self.known.read(self.known.files[key])
        except BrokenSample as broken:
            self._unusable[key] = broken.fault.reason
            return None


def _behind_answer(row: Row, answer: Answer | None, cells: Row) -> Row:
    """Return a row with further cells behind the answer, or first of all where there is none."""
    before = list(row)[: list(row).index(answer.column) + 1] if answer is not None else []
    return {name: row[name] for name in before} | dict(cells) | {name: row[name] for name in row if name not in before}


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
