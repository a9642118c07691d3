"""The column of a table that is to be predicted: classes, or numbers.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maecli import api
from maecli.api import tables

FIELDS = ("label", "target")
"""What a sample may carry of it: the number of its class, or a number (1,)."""
OTHER_TYPE = "--set dataset.types.{}=category"


@dataclass(frozen=True)
class Target:
    """What each row holds in the column to predict."""

    name: str
    field: str
    """Under which of `FIELDS` samples carry it."""
    values: NDArray[np.float64]
    """Class numbers, or numbers (N,), NaN where nothing is known."""
    classes: tuple[str, ...] = ()
    """As they are written; none of numbers."""

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """In which rows (N,) something stands."""
        return ~np.isnan(self.values)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return what samples carry, of all rows; nothing of those in which it is not known is meant."""
        if self.field == "label":
            return {"label": np.where(self.known, self.values, -1).astype(np.int64)}
        return {"target": self.values.astype(np.float32)[:, None]}

    def split(self, keys: Sequence[str], ids: NDArray[np.int64]) -> api.TensorSplit:
        """Return the rows with the positions `ids`, and of them nothing but this."""
        tensors = {name: torch.from_numpy(values[ids]) for name, values in self.arrays().items()}
        return api.TensorSplit(tensors, [keys[i] for i in ids.tolist()])

    def counts(self, ids: NDArray[np.int64]) -> tuple[int, ...]:
        """Return how many rows of those with the positions `ids` are of each class."""
        return tuple(np.bincount(self.values[ids].astype(np.int64), minlength=len(self.classes)).tolist())


def natural_field(column: tables.Kindred) -> str | None:
    """Return what samples carry of a column by its kind; None where it cannot be predicted."""
    return {"boolean": "label", "category": "label", "integer": "target", "number": "target"}.get(column.kind or "")


def find_target(column: tables.Kindred, field: str, nothing: tables.Missing, most_classes: int) -> Target:
    """Return what rows hold in a column under a field. Raises DataError where it holds something else."""
    name = column.cells.name
    if field == "target":
        if column.kind not in ("number", "integer") or column.values is None:
            raise api.DataError(f"the column {name!r} {_held(column)}, and numbers are to be predicted{_way(column)}")
        return Target(name, field, column.values)
    texts = [None if nothing(cell) else cell for cell in column.cells]
    classes = sorted({text for text in texts if text is not None}, key=_in_order)
    of_few = column.kind == "integer" and len(classes) <= most_classes
    if column.kind not in ("boolean", "category") and not of_few:
        way = OTHER_TYPE.format(name) + " takes each for a class"
        numeric = column.kind in ("number", "integer")
        ways = f"--task regress predicts them, and {way}" if numeric else way
        held = f"holds {len(classes):,} different numbers" if numeric else _held(column)
        told = f"the column {name!r} {held}, and classes are to be told apart"
        raise api.DataError(f"{told}; {ways}" if classes else told)
    numbers = {text: number for number, text in enumerate(classes)}
    values = np.array([np.nan if text is None else numbers[text] for text in texts], np.float64)
    return Target(name, field, values, tuple(classes))


def _in_order(text: str) -> tuple[bool, float, str]:
    """Return by what classes are sorted: numbers first, by their size."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def _held(column: tables.Kindred) -> str:
    """Return what a column holds, in words that follow its name."""
    if column.kind is None:
        return "is left out, as you say" if column.why == "as you say" else column.why
    return {"boolean": "holds truths", "category": "holds categories", "date": "holds dates"}.get(
        column.kind, "holds numbers"
    )


def _way(column: tables.Kindred) -> str:
    return "; --task classify tells classes apart" if natural_field(column) == "label" else ""
