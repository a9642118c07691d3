"""Of which kind the columns of a table are, told from their cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maecli.data.tabular.columns import Kind, numbers_of, seconds_of
from maecli.data.tabular.missing import Missing
from maecli.data.tabular.numbers import PLAIN, as_spelled, number_formats
from maecli.data.tabular.table import TextColumn, TextTable
from maecli.data.tabular.times import find_time_format

Choice = Kind | Literal["ignore"]
"""What a person may say of a column."""
TRUTHS = (frozenset({"true", "false"}), frozenset({"yes", "no"}), frozenset({"t", "f"}), frozenset({"y", "n"}))
"""Pairs of texts, in lower case, that are truths."""
MOST_CATEGORIES = 50
"""Of more different texts a column is free text, unless a person says that they are categories."""
FEW_CATEGORIES = 10
"""Different texts up to which a column is one of categories even if few of them come again."""


@dataclass(frozen=True)
class Kindred:
    """A column and what it was told to be; without a kind it is left out."""

    cells: TextColumn
    kind: Kind | None
    why: str = ""
    """Of one that is left out, in words."""
    values: NDArray[np.float64] | None = None
    """The numbers, or seconds from 1970, of numbers and dates (N,), NaN for nothing."""
    decimals: int | None = None


def find_kinds(
    table: TextTable,
    chosen: Mapping[str, Choice],
    others: Sequence[str] = (),
    most_categories: int = MOST_CATEGORIES,
) -> list[Kindred]:
    """Return what each column of a table is: what a person chose, else what its cells say.

    Numbers without decimals are integers, 0 and 1 alone, or yes and no, are truths, and text of few kinds that come
    again is of categories. Columns of nothing and of free text are left out. Raises BrokenSample where a column is
    chosen to be of numbers, and a cell holds none.
    """
    nothing = Missing(others)
    formats = number_formats(table, nothing)
    found = []
    for cells in table.columns:
        choice = chosen.get(cells.name)
        if choice == "ignore":
            found.append(Kindred(cells, None, "as you say"))
        elif choice in ("category", "boolean"):
            found.append(Kindred(cells, choice))
        elif cells.name in formats or choice in ("number", "integer"):
            form = formats.get(cells.name, PLAIN)
            values = numbers_of(table, cells, form, nothing)
            kind = choice if choice in ("number", "integer") else _kind_of_numbers(values)
            found.append(Kindred(cells, kind, "", values, as_spelled(form, cells).decimals))
        else:
            found.append(_of_text(table, cells, nothing, most_categories, choice))
    return found


def _kind_of_numbers(values: NDArray[np.float64]) -> Kind:
    there = values[~np.isnan(values)]
    if (there != np.floor(there)).any():
        return "number"
    return "boolean" if set(np.unique(there).tolist()) == {0.0, 1.0} else "integer"


def _of_text(table: TextTable, cells: TextColumn, nothing: Missing, most: int, choice: Choice | None) -> Kindred:
    different = Counter(cell for cell in cells if not nothing(cell))
    if not different:
        return Kindred(cells, None, "holds nothing")
    if (form := find_time_format(cells, nothing)) is not None:
        return Kindred(cells, "date", "", seconds_of(table, cells, form, nothing))
    if choice == "date":
        return Kindred(cells, None, "its cells are no dates that can be read")
    if {cell.lower() for cell in different} in TRUTHS and len(different) == 2:
        return Kindred(cells, "boolean")
    if len(different) > most:
        return Kindred(cells, None, f"is free text, {len(different):,} different ones")
    if len(different) > FEW_CATEGORIES and 2 * len(different) > different.total():
        return Kindred(cells, None, f"is free text, {len(different):,} different ones in {different.total():,} rows")
    return Kindred(cells, "category")
