"""The cells of all splits of a table, in units of the data, with what is to be predicted from them.

Shapes: N rows, F columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.sample import Split
from maecli.data.tabular.columns import Column, as_cells
from maecli.errors import BrokenSample
from maecli.modalities.survey import with_gaps
from maecli.modalities.tables.draw import one_line
from maecli.modalities.tables.read import TableRows
from maecli.text import number_of

MOST_ROWS = 200_000
"""Rows that are gone into; of more, evenly spaced ones."""
MOST_COLUMNS = 100
"""Columns that are compared with each other, the first ones."""
AT_LEAST = 30
"""Rows below which nothing is said."""

Values = NDArray[np.float64]
SplitOf = Callable[[SplitName, Sequence[str]], Split]


@dataclass(frozen=True)
class Field:
    """A column of the table, or what is to be predicted."""

    name: str
    kind: str
    """number, integer, boolean, category or date."""
    categories: tuple[str, ...] = ()
    column: Column | None = None
    target: bool = False

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("number", "integer", "date")

    def text(self, value: float) -> str:
        """Return a value, in units of the data, as people write it."""
        if self.categories:
            return self.categories[round(value)]
        if self.kind == "date":
            return str(np.datetime64(round(value), "s")).replace("T", " ")
        return f"{value:,.10g}" if abs(value) < 1e12 else f"{value:.4g}"


@dataclass(frozen=True)
class Cells:
    """All of it."""

    fields: Sequence[Field]
    values: Values
    """(N, F); NaN where nothing is known, of categories their numbers."""
    keys: Sequence[str]
    num_rows: int
    """Of the table; N may be fewer."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def inputs(self) -> list[int]:
        """The places of what is no target."""
        return [place for place, field in enumerate(self.fields) if not field.target]

    @property
    def limits(self) -> str:
        """Return what was not gone into, in a sentence; nothing where all was."""
        parts = [f"{len(self):,} of {number_of(self.num_rows, 'row')}"] if len(self) < self.num_rows else []
        parts += (
            [f"the first {MOST_COLUMNS} of {len(self.fields):,} columns"] if len(self.fields) > MOST_COLUMNS else []
        )
        return f"Gone into were {' and '.join(parts)}." if parts else ""


def read(split_of: SplitOf, card: DataCard) -> Cells:
    """Return the cells of the splits, of more than MOST_ROWS evenly spaced ones."""
    wanted = ("image", *(name for name in ("label", "target") if name in card.fields and not card.multi_label))
    splits = [split_of(name, wanted) for name in SPLIT_NAMES]
    total = sum(map(len, splits))
    step = max(1, -(-total // MOST_ROWS))
    parts, keys = [], []
    for split in splits:
        ids = range(0, len(split), step)
        if len(wanted) == 1 and isinstance(split, TableRows):
            parts.append(split.cells[::step].astype(np.float64))
            keys += [split.keys[i] for i in ids]
            continue
        for index in ids:
            if (row := _row(split, index, card, wanted)) is not None:
                parts.append(row[None])
                keys.append(split.keys[index])
    fields = _fields(card, wanted)
    values = np.concatenate([np.zeros((0, len(fields))), *parts])
    for place, column in enumerate(card.columns):
        if column.knots:
            digits = 0 if column.kind == "integer" else column.decimals if column.kind == "number" else None
            units = column.values(values[:, place])
            values[:, place] = units if digits is None else np.round(units, digits)
    return Cells(fields, values, keys, total)


def _row(split: Split, index: int, card: DataCard, wanted: Sequence[str]) -> Values | None:
    """Return the cells (F,) of a sample and what is to be predicted; None where it cannot be read."""
    try:
        sample = split[index]
    except BrokenSample:
        return None
    image = with_gaps(sample)
    cells = as_cells(image, card.columns) if card.columns else one_line(image)[0]
    others = [np.ravel(sample[name]).astype(np.float64) for name in wanted[1:]]
    return np.concatenate([cells.astype(np.float64), *others])


def _fields(card: DataCard, wanted: Sequence[str]) -> list[Field]:
    fields = [Field(column.name, column.kind, column.categories, column) for column in card.columns]
    if not fields:
        num = (card.size or (0,))[0]
        names = card.cells or tuple(f"cell {place + 1}" for place in range(num))
        fields = [Field(name, "number") for name in names]
    if "label" in wanted:
        name = card.targets[0] if card.targets and "target" not in wanted else "the class"
        fields.append(Field(name, "category", card.classes, target=True))
    if "target" in wanted:
        fields += [Field(name, "number", target=True) for name in card.targets]
    return fields
