"""What the columns of people's rows are, and how their values become cells of samples and values again.

Shapes: N rows, M cells of one column.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maecli.data.tabular.columns import Column, Kind, Scaler, to_step
from maecli.data.tabular.fit import fit_knots
from maecli.data.tabular.kinds import MOST_CATEGORIES
from maecli.data.tabular.times import ISO

SECONDS, FRACTIONS = f"{ISO} %H:%M:%S", f"{ISO} %H:%M:%S.%f"
"""How dates with clocks are written."""
EMPTY = "holds nothing"


@dataclass(frozen=True)
class Values:
    """One column of people's rows."""

    name: str
    kind: Literal["number", "date", "object"]
    values: NDArray[Any]
    """(N,) float64 of numbers, and of dates as seconds from 1970, NaN for nothing; else objects."""
    missing: NDArray[np.bool_]

    @property
    def there(self) -> NDArray[Any]:
        return self.values[~self.missing]


@dataclass(frozen=True)
class Feature:
    """A column that is learnt, and its categories as the values that they are."""

    column: Column
    originals: Sequence[Any] = ()

    @classmethod
    def of_run(cls, column: Column) -> Feature:
        """Return a column as a run knows it, whose categories are texts: numbers and truths among them are read."""
        texts = column.categories
        if {text.lower() for text in texts} <= {"true", "false"}:
            return cls(column, [text.lower() == "true" for text in texts])
        try:
            return cls(column, [float(text) for text in texts])
        except ValueError:
            return cls(column, texts)

    def cells(self, values: Values) -> NDArray[np.float64]:
        """Return places or numbers of categories (N,), NaN for nothing and for a category that was not learnt.

        Raises ValueError where the column holds something else than it did.
        """
        if self.column.categories:
            known = {text_of(value): number for number, value in enumerate(self.originals)}
            known |= {text: number for number, text in enumerate(self.column.categories)}
            pairs = zip(values.values.tolist(), values.missing.tolist(), strict=True)
            return np.array([math.nan if gone else known.get(text_of(value), math.nan) for value, gone in pairs])
        learnt = "date" if self.column.kind == "date" else "number"
        if values.missing.all():
            return np.full(len(values.missing), math.nan)
        if values.kind != learnt:
            held = {"date": "dates", "number": "numbers", "object": "text"}
            raise ValueError(f"column {values.name!r} held {held[learnt]} in fit, and holds {held[values.kind]} now")
        return self.column.places(values.values)

    def values(self, cells: NDArray[np.float32]) -> list[Any] | NDArray[Any]:
        """Return the values of cells (M,), none of them NaN: numbers, times as datetime64[us], or categories."""
        column = self.column
        if column.categories:
            return [self.originals[number] for number in cells.astype(int).tolist()]
        values = column.values(cells.astype(np.float64))
        if column.kind == "date":
            return np.round(to_step(values, column.time) * 1e6).astype("datetime64[us]")
        return [round(value) for value in values.tolist()] if column.kind == "integer" else values


def find_feature(values: Values, scaler: Scaler) -> Feature | str:
    """Return what a column is by its values; of one that cannot be learnt what it holds, in words."""
    there = values.there
    if not len(there):
        return EMPTY
    if values.kind == "object":
        return _of_objects(values.name, there)
    if values.kind == "date":
        knots = fit_knots(there, scaler)
        whole = (to_step(there, pattern) == there for pattern in (ISO, SECONDS))
        pattern = next((each for each, fits in zip((ISO, SECONDS), map(np.all, whole), strict=True) if fits), FRACTIONS)
        return Feature(Column(name=values.name, kind="date", knots=knots, time=pattern))
    return _of_numbers(values.name, there, scaler)


def _of_numbers(name: str, there: NDArray[np.float64], scaler: Scaler) -> Feature:
    whole = bool((there == np.floor(there)).all())
    ends = [int(end) if whole else float(end) for end in (there.min(), there.max())]
    if not math.isfinite(float(ends[1]) - float(ends[0])):
        raise ValueError(f"column {name!r} reaches from {ends[0]:g} to {ends[1]:g}, too far for float64")
    if ends == [0, 1] and whole:
        return _of_categories(name, "boolean", ends)
    kind: Kind = "integer" if whole else "number"
    decimals = 0 if whole else None
    return Feature(Column(name=name, kind=kind, knots=fit_knots(there, scaler), decimals=decimals))


def _of_objects(name: str, there: NDArray[Any]) -> Feature | str:
    found: dict[str, Any] = {}
    for value in there.tolist():
        found.setdefault(text_of(value), value)
    if len(found) > MOST_CATEGORIES:
        return f"holds {len(found):,} different texts"
    kind: Kind = "boolean" if all(isinstance(value, bool) for value in found.values()) else "category"
    return _of_categories(name, kind, [found[text] for text in sorted(found)])


def _of_categories(name: str, kind: Kind, values: Sequence[Any]) -> Feature:
    return Feature(Column(name=name, kind=kind, categories=tuple(map(text_of, values))), values)


def text_of(value: Any) -> str:
    """Return how a category is written: numbers that are equal alike, whether whole or not."""
    whole = isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer()
    return f"{float(value):.0f}" if whole else str(value)
