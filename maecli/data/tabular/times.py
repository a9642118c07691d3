"""Times as people write them: days in whatever order, with clocks and zones; and months.

Shapes: N rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from maecli.data.tabular.missing import Missing
from maecli.data.tabular.table import TextColumn

ISO = "%Y-%m-%d"
_DAYS = (ISO, "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y")
_SHORT = ("%d.%m.%y", "%m/%d/%y", "%d/%m/%y")
"""Of a year two digits, those from 69 on in the last century."""
_NAMED = ("%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d %B %Y", "%B %d, %Y")
_MONTHS = ("%Y-%m", "%Y/%m", "%b %Y", "%B %Y", "%m/%Y")
_CLOCKS = (
    "",
    " %H:%M:%S",
    "T%H:%M:%S",
    " %H:%M",
    "T%H:%M",
    " %H:%M:%S.%f",
    "T%H:%M:%S.%f",
    " %I:%M:%S %p",
    " %I:%M %p",
)
PATTERNS = (*map("".join, product((*_DAYS, *_SHORT, *_NAMED), _CLOCKS)), *_MONTHS)
"""As strptime has them. Years alone are numbers, and so are seconds since 1970."""
_ZONE = re.compile(r"(?<=\d) ?(?:Z|UTC|[+-]\d\d:?\d\d)$")
_MIXED = "%z"


class NotATime(ValueError):
    """A cell holds no time that is written as the others are; `row` is counted from 0."""

    def __init__(self, row: int, cell: str) -> None:
        super().__init__(row, cell)
        self.row, self.cell = row, cell


@dataclass(frozen=True)
class TimeFormat:
    """How the times of a column are written."""

    pattern: str
    """As strptime has it, without the zone."""
    zone: str = ""
    """What stands behind each time, as Z or +01:00, whose clocks then tell them; %z where zones differ, told in UTC."""
    decimals: int = 0
    """Digits of fractions of seconds."""
    ambiguous: bool = False
    """Whether another order of day and month fits as well."""

    def value(self, cell: str) -> datetime | None:
        """Return the time in a stripped cell, None where it holds none that is written so."""
        try:
            if self.zone == _MIXED:
                time = datetime.strptime(cell.replace(" UTC", "Z").replace(" +", "+"), self.pattern + _MIXED)
                return time.astimezone(UTC).replace(tzinfo=None)
            if not cell.endswith(self.zone):
                return None
            cell = cell.removesuffix(self.zone)
            if self.pattern.startswith(ISO):  # which Python reads many times as fast
                time = datetime.fromisoformat(cell)
                return time if time.tzinfo is None else None
            return datetime.strptime(cell, self.pattern)
        except ValueError:
            return None

    def text(self, time: np.datetime64) -> str:
        """Return a time as the column writes it; those of different zones in UTC."""
        moment: datetime = time.astype("datetime64[us]").item()
        text = moment.strftime(self.pattern)
        if "%f" in self.pattern:
            text = text[: len(text) - 6 + self.decimals]
        return text + ("+00:00" if self.zone == _MIXED else self.zone)


def find_time_format(column: TextColumn, missing: Missing) -> TimeFormat | None:
    """Return how the times of a column are written; None where a cell holds something else, or all hold nothing.

    Where 3/4/2020 may be of March or of April, that order is taken in which times rise; of two such the month is first.
    """
    first = next((cell for cell in column if not missing(cell)), None)
    if first is None or not any(map(str.isdigit, first)):
        return None
    fitting = [form for form in _candidates(first) if _fits(form, column, missing)]
    if len({form.pattern for form in fitting}) > 1:
        fitting = [form for form in fitting if _rises(form, column, missing)] or fitting
    if not fitting:
        return None
    form = fitting[0]
    return TimeFormat(form.pattern, form.zone, form.decimals, len({each.pattern for each in fitting}) > 1)


def _candidates(cell: str) -> Iterator[TimeFormat]:
    """Yield the formats that one cell is written in."""
    zone = match[0] if ":" in cell and (match := _ZONE.search(cell)) else ""
    plain = cell.removesuffix(zone)
    for pattern in PATTERNS:
        try:
            datetime.strptime(plain, pattern)
        except ValueError:
            continue
        decimals = len(plain.rpartition(".")[2]) if "%f" in pattern else 0
        for each in (zone, _MIXED) if zone else ("",):
            yield TimeFormat(pattern, each, decimals)


def _fits(form: TimeFormat, column: TextColumn, missing: Missing) -> bool:
    return all(form.value(cell) is not None or missing(cell) for cell in column)


def _rises(form: TimeFormat, column: TextColumn, missing: Missing) -> bool:
    times = (form.value(cell) for cell in column if not missing(cell))
    return all(before < after for before, after in pairwise(filter(None, times)))


def read_times(column: TextColumn, form: TimeFormat) -> NDArray[np.datetime64]:
    """Return the times of a column (N,) in microseconds. Raises NotATime for the first cell that holds none."""
    times = np.empty(len(column), "datetime64[us]")
    for row, cell in enumerate(column):
        time = form.value(cell)
        if time is None:
            raise NotATime(row, cell)
        times[row] = time
    return times
