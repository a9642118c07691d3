"""The rows of a table of labels, as arrays: objects would take several hundred bytes for each.

Shapes: N keys of samples.
"""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import SplitName
from maecli.data.views.by_key import NONE, ByKey, Positions
from maecli.data.views.keys import Keys, are_equal
from maecli.errors import Fault

NO_LINE = 0
"""In place of the line of a sample that stands in none."""

V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True)
class LabelRow:
    """One line of a table of labels."""

    line: int
    label: str
    split: SplitName | None
    group: str


class LabelRows(Mapping[str, LabelRow]):
    """The rows of a table of labels, file → row in the order of the table, and what is to be said of it."""

    def __init__(
        self,
        lines: NDArray[np.int32],
        labels: ByKey[str],
        splits: ByKey[SplitName],
        groups: ByKey[str],
        reading: str = "",
        faults: Sequence[Fault] = (),
    ) -> None:
        self.lines = lines
        """(N,) `NO_LINE` of keys that stand in none."""
        self.labels, self.splits, self.groups = labels, splits, groups
        """Of those of the same keys that have one."""
        self.reading = reading
        """In a few words: labels.csv (columns image, class)."""
        self.faults = tuple(faults)
        """The rows that name no picture, by the names that they give."""

    @classmethod
    def gathered(cls, rows: Mapping[str, LabelRow]) -> LabelRows:
        """Return some rows of which nothing is to be said."""
        growing = GrowingRows(Keys.of(rows))
        for place, row in enumerate(rows.values()):
            growing.put(place, row)
        return growing.rows()

    @property
    def of(self) -> Keys:
        """The keys that a row can be of."""
        return self.labels.of

    def at(self, keys: Keys) -> LabelRows:
        """Return the rows of some keys, in their order."""
        return self.renamed(keys) if are_equal(self.of, keys) else self._moved(keys, self._positions.find(keys))

    def renamed(self, keys: Keys) -> LabelRows:
        """Return the rows with other keys (N,)."""
        return self._moved(keys, np.arange(len(keys)))

    def _moved(self, keys: Keys, places: NDArray[np.int64]) -> LabelRows:
        lines = np.append(self.lines, np.int32(NO_LINE))[places]
        columns = (_moved(self.labels, keys, places), _moved(self.splits, keys, places))
        return LabelRows(lines, *columns, _moved(self.groups, keys, places), self.reading, self.faults)

    def in_line(self, line: int) -> str:
        """Return the key of the row in a line."""
        return self.of[int(np.flatnonzero(self.lines == line)[0])]

    def __len__(self) -> int:
        return int(np.count_nonzero(self.lines))

    def __iter__(self) -> Iterator[str]:
        return iter(self.of.take(self._order))

    def __getitem__(self, key: str) -> LabelRow:
        place = self._positions.of(key)
        if place == NONE or self.lines[place] == NO_LINE:
            raise KeyError(key)
        return self._row(place)

    def items(self) -> ItemsView[str, LabelRow]:
        return _Items(self)

    def _rows(self) -> Iterator[LabelRow]:
        """Yield the rows in the order of the table."""
        return map(self._row, self._order)

    def _row(self, place: int) -> LabelRow:
        label, split, group = (
            column.distinct[code] if (code := column.codes[place]) != NONE else None
            for column in (self.labels, self.splits, self.groups)
        )
        return LabelRow(int(self.lines[place]), label or "", split, group or "")

    @property
    def _order(self) -> NDArray[np.int64]:
        places = np.flatnonzero(self.lines)
        return places[np.argsort(self.lines[places])]

    @cached_property
    def _positions(self) -> Positions:
        return Positions(self.of)


class _Items(ItemsView[str, LabelRow]):
    _mapping: LabelRows

    def __iter__(self) -> Iterator[tuple[str, LabelRow]]:
        return zip(self._mapping, self._mapping._rows(), strict=True)


def _moved(column: ByKey[V], keys: Keys, places: NDArray[np.int64]) -> ByKey[V]:
    return ByKey(keys, np.append(column.codes, np.int32(NONE))[places], column.distinct)


class GrowingRows:
    """Rows that come one by one, each by the position of its key."""

    def __init__(self, keys: Keys) -> None:
        self._keys, num = keys, len(keys)
        self._lines = np.full(num, NO_LINE, np.int32)
        self._labels, self._splits, self._groups = _Column[str](num), _Column[SplitName](num), _Column[str](num)

    def put(self, place: int, row: LabelRow) -> None:
        self._lines[place] = row.line
        self._labels.put(place, row.label)
        self._splits.put(place, row.split)
        self._groups.put(place, row.group)

    def row(self, place: int) -> LabelRow | None:
        """Return the row at a position, None where none came by now."""
        if self._lines[place] == NO_LINE:
            return None
        label, split, group = self._labels.value(place), self._splits.value(place), self._groups.value(place)
        return LabelRow(int(self._lines[place]), label or "", split, group or "")

    def __len__(self) -> int:
        return int(np.count_nonzero(self._lines))

    def rows(self, reading: str = "", faults: Sequence[Fault] = ()) -> LabelRows:
        """Return those that came by now, and what is to be said of them."""
        keys = self._keys
        columns = (self._labels.of(keys), self._splits.of(keys), self._groups.of(keys))
        return LabelRows(self._lines, *columns, reading, faults)


class _Column(Generic[V]):
    """One value for each of some keys, as its number; empty ones are none."""

    def __init__(self, num: int) -> None:
        self._codes = np.full(num, NONE, np.int32)
        self._numbers: dict[V, int] = {}
        self._values: list[V] = []

    def put(self, place: int, value: V | None) -> None:
        if not value:
            return
        self._codes[place] = number = self._numbers.setdefault(value, len(self._numbers))
        if number == len(self._values):
            self._values.append(value)

    def value(self, place: int) -> V | None:
        return self._values[self._codes[place]] if self._codes[place] != NONE else None

    def of(self, keys: Keys) -> ByKey[V]:
        return ByKey(keys, self._codes, self._values)
