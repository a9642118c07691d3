"""Even steps of time: where each row of a series stands on them, and what is missing between.

Shapes: N rows of a file, T steps of the series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from maecli.text import number_of

Times = NDArray[np.datetime64]
DAY_S = 86_400
UNITS = ((7 * DAY_S, "week"), (DAY_S, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
NEAR = 0.05
"""Share of a step by which a time may lie beside one and still be that one: clocks drift."""
MOST_STEPS = 20
"""Times as many steps as rows that a series may have; beyond that a time is more likely wrong."""


class Backwards(ValueError):
    """A time does not come after that of the row above it; `row` is counted from 0."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


class TooFar(ValueError):
    """A time lies so far from the others that the series would be mostly missing; `row` is counted from 0."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True)
class Steps:
    """The steps of a series, and which of its rows stands on which."""

    step: np.timedelta64
    """In microseconds, or in months where steps are months, quarters or years."""
    first: np.datetime64
    places: NDArray[np.int64]
    """The step (N,) of each row; -1 for a row between steps."""
    length: int

    @classmethod
    def even(cls, first: str, step: timedelta, num: int) -> Self:
        """Return so many steps of a length from a time on, written as ISO 8601 has it, a row on each."""
        return cls(np.timedelta64(step), np.datetime64(first, "us"), np.arange(num), num)

    @property
    def num_between(self) -> int:
        """Rows that stand on no step, or on one that another row is nearer to."""
        return int((self.places < 0).sum())

    @property
    def num_missing(self) -> int:
        """Steps without a row."""
        return self.length - len(self.places) + self.num_between

    @property
    def _months(self) -> int | None:
        """Months of a step, None where it is of a fixed length."""
        return int(self.step.astype(int)) if np.datetime_data(self.step)[0] == "M" else None

    @property
    def _seconds(self) -> float:
        return float(self.step / np.timedelta64(1, "s"))

    @property
    def words(self) -> str:
        """How long a step is: 1 hour, 15 minutes, 3 months."""
        if self._months is not None:
            years, months = divmod(self._months, 12)
            return number_of(self._months, "month") if months else number_of(years, "year")
        for length, name in UNITS:
            if self._seconds % length == 0:
                return number_of(int(self._seconds // length), name)
        return f"{self._seconds:g} seconds"

    def lasting(self, num: int) -> str:
        """Return how long so many steps are, in words."""
        return replace(self, step=self.step * num).words

    @property
    def season(self) -> int | None:
        """Steps after which a series is expected to be alike: a day of hours, a week of days, a year of months."""
        if self._months is not None:
            return 12 // self._months if 12 % self._months == 0 and self._months < 12 else None
        if self._seconds < DAY_S:
            return int(DAY_S // self._seconds) if DAY_S % self._seconds == 0 else None
        return {DAY_S: 7, 7 * DAY_S: 52}.get(int(self._seconds))

    def spread(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return values (C, N) of rows as values (C, T) of steps, NaN where there is none."""
        spread = np.full((len(values), self.length), np.nan, np.float32)
        on = self.places >= 0
        spread[:, self.places[on]] = values[:, on]
        return spread

    def time(self, place: int) -> np.datetime64:
        """Return the time of a step, which may lie behind the last one."""
        if self._months is None:
            return self.first + place * self.step
        month = self.first.astype("datetime64[M]")
        return month + place * self.step + (self.first - month.astype(self.first.dtype))


def find_steps(times: Times) -> Steps:
    """Return the even steps of times (N,) that rise: the usual distance between rows, or months where they are that.

    Raises Backwards where a time does not rise, TooFar where most of the steps would be missing.
    """
    times = times.astype("datetime64[us]")
    if (bad := np.flatnonzero(times[1:] <= times[:-1])).size:
        raise Backwards(int(bad[0]) + 1)
    if len(times) < 2:
        return Steps(np.timedelta64(1, "us"), times[0], np.zeros(len(times), np.int64), len(times))
    months = _in_months(times)
    line = times.astype(np.int64) if months is None else months
    apart = np.diff(line)
    step = int(np.median(apart)) if (usual := _mode(apart)) is None else usual
    steps = (line - line[0]) / step
    places = np.rint(steps).astype(np.int64)
    if places[-1] >= MOST_STEPS * len(times):
        raise TooFar(int(apart.argmax()) + 1)
    off = np.abs(steps - places)
    places[(off > NEAR) | _nearer_to_another(places, off)] = -1
    length = np.timedelta64(step, "us") if months is None else np.timedelta64(step, "M")
    return Steps(length, times[0], places, int(np.rint(steps[-1])) + 1)


def _mode(apart: NDArray[np.int64]) -> int | None:
    """Return the distance that at least half of the rows have, None where there is none."""
    values, counts = np.unique(apart, return_counts=True)
    most = int(counts.argmax())
    return int(values[most]) if 2 * counts[most] >= len(apart) else None


def _in_months(times: Times) -> NDArray[np.int64] | None:
    """Return the number of the month of each time, where all stand at the same place of a month, each of another."""
    months = times.astype("datetime64[M]")
    within = times - months.astype("datetime64[us]")
    numbers = months.astype(np.int64)
    return numbers if (within == within[0]).all() and (np.diff(numbers) > 0).all() else None


def _nearer_to_another(places: NDArray[np.int64], off: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows (N,) share their step with another one that is nearer to it."""
    order = np.lexsort((off, places))
    later = np.zeros(len(places), bool)
    later[order[1:]] = places[order[1:]] == places[order[:-1]]
    return later
