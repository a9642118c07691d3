"""Series with their times: files of a time column and columns of numbers, on even steps.

Shapes: N rows of a file, C channels, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.data.csv_files import csv_bytes
from maecli.data.tabular.missing import Missing
from maecli.data.tabular.numbers import NumberFormat, number_formats, read_numbers
from maecli.data.tabular.read import read_table
from maecli.data.tabular.table import TextTable
from maecli.data.tabular.times import NotATime, TimeFormat, find_time_format, read_times
from maecli.errors import BrokenSample
from maecli.modalities.columns import find_columns
from maecli.modalities.files import reading
from maecli.modalities.series.read import read_series
from maecli.modalities.series.steps import Backwards, Steps, TooFar, find_steps
from maecli.text import number_of, some

MISSING = Missing()
NO_TIMES = "no column holds times, so each row is a step"


@dataclass(frozen=True)
class TimedSeries:
    """What a file holds."""

    names: tuple[str, ...]
    """Of the channels."""
    values: NDArray[np.float32]
    """(C, T), NaN where nothing is known."""
    time: str
    """Name of the time column; empty where there is none."""
    form: TimeFormat | None
    steps: Steps | None
    notes: tuple[str, ...]
    """What a person should know of the reading: sentences without a full stop."""

    @property
    def length(self) -> int:
        """T."""
        return self.values.shape[1]

    def times_after(self, num: int) -> list[str]:
        """Return the times of so many steps that follow, as the file writes them; numbers of rows where it has none."""
        if self.steps is None or self.form is None:
            return [str(self.length + step) for step in range(1, num + 1)]
        return [self.form.text(self.steps.time(self.length + step)) for step in range(num)]


def read_timed(path: Path, time: str = "", columns: Sequence[str] = ()) -> TimedSeries:
    """Return the series of a CSV or Parquet file: of these columns, or of all others that hold numbers.

    The time is the column of that name, or the first that holds times. A step without a row is missing, and so is what
    stands in rows between steps. Raises BrokenSample where the file cannot be read, a column is not there or holds
    something else, or a time does not come after the one above it.
    """
    with reading(path):
        table = read_table(path)
        place, form = _time_column(table, time, columns)
        numbers = number_formats(table, MISSING)
        chosen = _channels(table, place, numbers, columns)
        rows = np.stack([_numbers(table, number, numbers) for number in chosen])
        names, notes = tuple(table.names[number] for number in chosen), [*table.notes]
        others = [name for number, name in enumerate(table.names) if number not in (*chosen, place)]
        if others and not columns:
            notes.append(f"left out, since they hold no numbers: {some(others)}")
        if place is None or form is None:
            return TimedSeries(names, rows, "", None, None, (*notes, NO_TIMES))
        if form.ambiguous:
            notes.append(f"{table.names[place]} is read as {form.pattern}, though day and month may be meant otherwise")
        steps = _steps(table, place, form)
        return TimedSeries(names, steps.spread(rows), table.names[place], form, steps, (*notes, *_told(steps)))


def last_window(path: Path, card: DataCard, steps: int) -> NDArray[np.float32]:
    """Return the last so many steps (C, steps) of a file, of the channels that a card names: what is forecast from.

    Raises BrokenSample as `read_timed` does, and where there are fewer.
    """
    if path.suffix.lower() == ".npy":
        values = read_series(path, card)
    else:
        values = read_timed(path, card.time, card.channel_names).values
    if values.shape[1] < steps:
        has = number_of(values.shape[1], "step")
        raise BrokenSample(str(path), f"has {has}, and this model looks back {steps:,} before it forecasts")
    return np.ascontiguousarray(values[:, -steps:])


def forecast_csv(values: NDArray[np.float32], card: DataCard, source: Path | None) -> bytes:
    """Return a CSV file of what follows a file (Q, H): the times that come after its own, as it writes them."""
    name, times = "step", [str(step) for step in range(1, values.shape[1] + 1)]
    if source is not None and source.suffix.lower() != ".npy":
        series = read_timed(source, card.time, card.channel_names)
        name, times = series.time or name, series.times_after(values.shape[1])
    rows = ([time, *row] for time, row in zip(times, values.T.astype(np.float32), strict=True))
    return csv_bytes([name, *card.targets], rows)


def _time_column(table: TextTable, time: str, columns: Sequence[str]) -> tuple[int | None, TimeFormat | None]:
    """Return the place of the time column, and how it is written."""
    if not time:
        for place, column in enumerate(table.columns):
            if column.name not in columns and (form := find_time_format(column, MISSING)) is not None:
                return place, form
        return None, None
    [place] = find_columns(table.path, table.names, [time])
    form = find_time_format(table.columns[place], MISSING)
    if form is None:
        example = next((cell for cell in table.columns[place] if not MISSING(cell)), "nothing")
        raise _broken(table, 0, time, f"holds no times that are known, as {example[:40]!r}; write 2026-11-29 17:30")
    return place, form


def _channels(
    table: TextTable, place: int | None, numbers: dict[str, NumberFormat], columns: Sequence[str]
) -> list[int]:
    if columns:
        return find_columns(table.path, table.names, columns)
    chosen = [number for number, name in enumerate(table.names) if name in numbers and number != place]
    if not chosen or not len(table):
        lacking = "columns of numbers" if len(table) else "rows below its header"
        raise BrokenSample(str(table.path), f"has no {lacking}; a series has a time column and columns of numbers")
    return chosen


def _numbers(table: TextTable, number: int, forms: dict[str, NumberFormat]) -> NDArray[np.float32]:
    column = table.columns[number]
    form = forms.get(column.name)
    if form is None and not all(map(MISSING, column)):
        row, cell = next((row, cell) for row, cell in enumerate(column) if not (MISSING(cell) or _is_number(cell)))
        raise _broken(
            table, row, column.name, f"{cell[:40]!r} is not a number; leave the cell empty where none is known"
        )
    if form is None:
        return np.full(len(column), np.nan, np.float32)
    with np.errstate(over="ignore"):
        values = read_numbers(column, form, MISSING).astype(np.float32)
    if (rows := np.flatnonzero(np.isinf(values))).size:
        raise _broken(table, int(rows[0]), column.name, "holds a number that is infinite, or too large for float32")
    return values


def _is_number(cell: str) -> bool:
    return NumberFormat().value(cell) is not None


def _steps(table: TextTable, place: int, form: TimeFormat) -> Steps:
    column = table.columns[place]
    try:
        return find_steps(read_times(column, form))
    except NotATime as error:
        raise _broken(table, error.row, column.name, "has no time; fill it in, or leave the row out") from error
    except Backwards as error:
        before, after = column[error.row - 1], column[error.row]
        how = "stands there twice" if before == after else f"follows {before}, which is later"
        raise _broken(
            table, error.row, column.name, f"the time {after} {how}; sort the rows by time, each once"
        ) from error
    except TooFar as error:
        before, after = column[error.row - 1], column[error.row]
        jump = f"the time goes from {before} to {after}, so most steps would be missing"
        reason = f"{jump}; mend it, or split the file there"
        raise _broken(table, error.row, column.name, reason) from error


def _broken(table: TextTable, row: int, column: str, reason: str) -> BrokenSample:
    line = f"line {table.lines[row]}, " if len(table) else ""
    return BrokenSample(str(table.path), f"{line}column {column[:60]!r}: {reason}")


def _told(steps: Steps) -> list[str]:
    """Return what is to be said of gaps and of rows between steps."""
    notes = []
    if steps.num_missing:
        notes.append(
            f"{number_of(steps.num_missing, 'step', 'steps')} of {steps.words} without a row: missing, not filled"
        )
    if steps.num_between:
        rows = number_of(steps.num_between, "row", "rows")
        notes.append(f"{rows} between steps of {steps.words}: left out, as is what stands there")
    return notes
