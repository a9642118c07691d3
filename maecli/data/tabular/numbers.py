"""Numbers as people write them: with decimal points or commas, and with marks between thousands.

Shapes: N rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from maecli.data.tabular.missing import Missing
from maecli.data.tabular.table import TextColumn, TextTable

SPACES = ("\u00a0", "\u202f", " ")
"""That stand between thousands: no-break, narrow no-break, plain."""
DIGITS = 17
"""Significant ones that tell any float64 from all others."""


class NotANumber(ValueError):
    """A cell holds neither a number nor nothing."""

    def __init__(self, row: int, cell: str) -> None:
        super().__init__(row, cell)
        self.row, self.cell = row, cell


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written."""

    decimal: str = "."
    thousands: str = ""
    decimals: int | None = None
    """Digits behind the decimal mark, the most that a cell has; None: as many as a number needs."""

    @property
    def plain(self) -> bool:
        """Whether numbers are written as Python reads them."""
        return self.decimal == "." and not self.thousands

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        whole = rf"[1-9]\d{{0,2}}(?:{re.escape(self.thousands)}\d{{3}})+|" if self.thousands else ""
        fraction = re.escape(self.decimal)
        return re.compile(rf"[+-]?(?:(?:{whole}\d+)(?:{fraction}\d*)?|{fraction}\d+)(?:[eE][+-]?\d+)?")

    def value(self, cell: str) -> float | None:
        """Return the number in a stripped cell, None where it holds none that is written so."""
        if self.plain:
            return _plain(cell)
        if not self._pattern.fullmatch(cell):
            return None
        return float(cell.replace(self.thousands, "").replace(self.decimal, "."))

    def text(self, value: float) -> str:
        """Return a finite number as the column writes it, rounded to its decimals."""
        if self.decimals is None:
            digits = repr(float(value)).removesuffix(".0")
        else:
            digits = f"{value + 0.0:.{self.decimals}f}"
            digits = digits.removeprefix("-") if not float(digits) else digits
        whole, point, fraction = digits.partition(".")
        if self.thousands and whole.lstrip("-").isdigit():
            whole = f"{int(whole):,}".replace(",", self.thousands)
        return f"{whole}{self.decimal if point else ''}{fraction}"


PLAIN = NumberFormat()
_WITH_COMMAS = (NumberFormat(",", "."), *(NumberFormat(",", space) for space in SPACES))
_WITH_THOUSANDS = (NumberFormat(".", ","), NumberFormat(".", "'"), *(NumberFormat(".", space) for space in SPACES))


def _plain(cell: str) -> float | None:
    """Return what Python reads, but neither 1_000 nor NaN."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return None if value != value or "_" in cell else value


def number_formats(table: TextTable, missing: Missing) -> dict[str, NumberFormat]:
    """Return how the columns of numbers are written, by name, without their decimals; others hold other things too.

    A column that holds nothing is none of numbers. `1,234` is a thousand in a file that commas separate, and else a
    decimal where any cell of the column is one; `1.234` is a thousand where other columns write decimals with commas
    and every point of this one stands before three digits.
    """
    found = {column.name: find_format(column, missing, table.decimal_commas) for column in table.columns}
    formats = {name: form for name, form in found.items() if form is not None}
    if any(form.decimal == "," for form in formats.values()):
        points = NumberFormat(",", ".")
        for column in table.columns:
            form = formats.get(column.name)
            if form is not None and form.plain and _has_thousands(column, points, missing):
                formats[column.name] = points
    return formats


def _has_thousands(column: TextColumn, form: NumberFormat, missing: Missing) -> bool:
    """Whether a column has such marks, and each cell can be read with them."""
    return any(form.thousands in cell for cell in column) and _fits(column, form, missing)


def find_format(column: TextColumn, missing: Missing, decimal_commas: bool = False) -> NumberFormat | None:
    """Return how a column of numbers is written, without its decimals; None where it holds something else, or nothing.

    `decimal_commas`: whether 1,234 has three decimals more likely than four digits.
    """
    if all(map(missing, column)):
        return None
    groups: Sequence[Sequence[NumberFormat]] = (_WITH_THOUSANDS, _WITH_COMMAS)
    forms = (form for group in (reversed(groups) if decimal_commas else groups) for form in group)
    return next((form for form in (PLAIN, *forms) if _fits(column, form, missing)), None)


def _fits(column: TextColumn, form: NumberFormat, missing: Missing) -> bool:
    for block in column.blocks():
        if form.plain and _all_plain(block) is not None:
            continue
        if not all(form.value(cell) is not None or missing(cell) for cell in block):
            return False
    return True


def _all_plain(block: Sequence[str]) -> list[float] | None:
    """Return the numbers of a block in which each cell is a plain one; else None."""
    try:
        values = list(map(float, block))
    except ValueError:
        return None
    return values if "_" not in "".join(block) else None


def read_numbers(column: TextColumn, form: NumberFormat, missing: Missing) -> NDArray[np.float64]:
    """Return the numbers of a column (N,), NaN where a cell holds nothing. Raises NotANumber for the first other one.

    A number may be infinite.
    """
    parts = [np.zeros(0)]
    row = 0
    for block in column.blocks():
        values = _all_plain(block) if form.plain and not missing.others else None
        if values is None:
            values = [_number(cell, form, missing, number) for number, cell in enumerate(block, start=row)]
        parts.append(np.array(values))
        row += len(block)
    return np.concatenate(parts)


def _number(cell: str, form: NumberFormat, missing: Missing, row: int) -> float:
    if missing(cell):
        return math.nan
    value = form.value(cell)
    if value is None:
        raise NotANumber(row, cell)
    return value


def as_spelled(form: NumberFormat, cells: Iterable[str]) -> NumberFormat:
    """Return a format with the decimals of these cells, those that hold its numbers, as 2 of 1 and 3.25.

    It has marks between thousands only if one of them has.
    """
    most, marked, exponents = 0, False, False
    for cell in cells:
        if form.value(cell) is not None:
            most = max(most, len(cell.partition(form.decimal)[2]))
            marked = marked or (form.thousands in cell)
            exponents = exponents or "e" in cell or "E" in cell
    decimals = None if exponents or most > DIGITS else most
    return replace(form, decimals=decimals, thousands=form.thousands if marked else "")
