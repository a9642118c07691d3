"""What the columns of a table are, and how their cells become numbers of a sample and text again.

Numbers and dates become places: 0 is the least value of the training rows and 1 the greatest, or its quantile.
Categories become their number. Places are made in float64, so that dates and large numbers keep their digits.

Shapes: N rows, F columns, C channels of a sample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from maecli.data.tabular.missing import Missing
from maecli.data.tabular.numbers import PLAIN, NotANumber, NumberFormat, as_spelled, number_formats, read_numbers
from maecli.data.tabular.table import TextColumn, TextTable
from maecli.data.tabular.times import TimeFormat, find_time_format
from maecli.errors import BrokenSample

Kind = Literal["number", "integer", "boolean", "category", "date"]
Scaler = Literal["standard", "minmax", "quantile"]
EPOCH = datetime(1970, 1, 1)
PLACES = (-0.5, 1.5)
"""The least place and the greatest: what lies farther outside of the training rows' range counts as lying there."""
STEPS, DAY = (("%f", 1e-6), ("%S", 1.0), ("%M", 60.0)), 86400.0
"""Seconds between the times that a format can write."""
CERTAIN = 7
"""Significant digits that float32, in which samples are, can tell."""


class Column(BaseModel):
    """A column of a table as the training rows have it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    kind: Kind
    categories: tuple[str, ...] = Field(default=(), description="as they are written, of categories and truths")
    knots: tuple[float, ...] = Field(
        default=(),
        description="of numbers and dates (seconds from 1970): the values at even steps of places 0 to 1, all of them "
        "the same of a column that is constant",
    )
    decimals: int | None = Field(default=None, description="digits behind the decimal mark, of dates those of seconds")
    time: str = Field(default="", description="how dates are written, as strptime has it")
    zone: str = Field(default="", description="what stands behind each date")
    missing: tuple[str, ...] = Field(default=(), description="what else says that a cell holds nothing")

    def places(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the places (N,) of values, NaN where there is none; outside of a range they are below 0 or above 1.

        Of equal quantiles the middle one is taken, as by scikit-learn's QuantileTransformer.
        """
        if len(self.knots) == 2:
            return np.clip(self.to_range(values), *PLACES)
        knots, steps = np.array(self.knots), np.linspace(0, 1, len(self.knots))
        first, last = np.interp(values, knots, steps), -np.interp(-values, -knots[::-1], -steps[::-1])
        return np.where(np.isnan(values), np.nan, (first + last) / 2)

    def values(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what stands at places (N,): the inverse of `places`, within the range where there are quantiles."""
        if len(self.knots) == 2:
            return self.from_range(places)
        return np.interp(places, np.linspace(0, 1, len(self.knots)), np.array(self.knots))

    def to_range(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where values (N,) lie between the least and the greatest: 0 and 1, and beyond them too.

        Where these are the same it is how far values lie above them. Unlike `places` they lose nothing, whatever the
        scaler. Numbers of categories stay as they are.
        """
        return (values - self.knots[0]) / self._span if self.knots else values

    def from_range(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values that lie there (N,): the inverse of `to_range`."""
        return self.knots[0] + parts * self._span if self.knots else parts

    @property
    def constant(self) -> bool:
        """Whether the training rows have one and the same number, or date, which is then the place 0."""
        return bool(self.knots) and self.knots[0] == self.knots[-1]

    @property
    def _span(self) -> float:
        return 1.0 if self.constant else self.knots[-1] - self.knots[0]

    def unit(self, cell: float) -> float:
        """Return a cell of a row in units of the data: a number, seconds from 1970, or the number of a category."""
        return float(self.values(np.array([cell]))[0]) if self.knots else cell

    def text(self, cell: float, form: NumberFormat | TimeFormat | None = None) -> str:
        """Return a cell of a row, a place or the number of a category, as it is written; nothing for NaN.

        Numbers and dates are written in this form, else as those that were learnt from.
        """
        if math.isnan(cell):
            return ""
        if self.categories:
            return self.categories[round(cell)]
        value = self.unit(cell)
        if self.kind == "date":
            times = form if isinstance(form, TimeFormat) else self._times
            seconds = to_step(np.array([value]), times.pattern)[0]
            return times.text(np.datetime64(round(seconds * 1e6), "us"))
        numbers = form if isinstance(form, NumberFormat) else NumberFormat(decimals=self.decimals)
        if numbers.decimals is None:
            value = float(f"{value:.{CERTAIN}g}")
        return numbers.text(float(round(value)) if self.kind == "integer" else value)

    @property
    def _times(self) -> TimeFormat:
        return TimeFormat(self.time, self.zone, self.decimals or 0)


def to_step(seconds: NDArray[np.float64], pattern: str) -> NDArray[np.float64]:
    """Return seconds from 1970 (N,), rounded to times that a pattern can write."""
    step = next((step for word, step in STEPS if word in pattern), DAY)
    return np.floor(seconds / step + 0.5) * step


def moments(
    cells: NDArray[np.float32], columns: Sequence[Column], scaler: Scaler = "standard"
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of each column over the cells of rows (N, F), in units of a card.

    By `minmax` all numbers and dates have the root of their mean variance as deviation, so that they stay to each other
    as their ranges do, while what a model reads and learns is about 1. Those of categories are 0 and 1 in the samples'
    own numbers.
    """
    mean, std = np.zeros(len(columns)), np.ones(len(columns))
    varied = []
    for place, column in enumerate(columns):
        there = cells[:, place].astype(np.float64)
        there = there[~np.isnan(there)]
        if not column.categories and len(there):
            mean[place], deviation = there.mean(), there.std()
            if deviation > 1e-6:
                std[place] = deviation
                varied.append(place)
    if scaler == "minmax" and varied:
        std[varied] = np.sqrt((std[varied] ** 2).mean())
    low, span = PLACES[0], PLACES[1] - PLACES[0]
    mean, std = (mean - low) / span, std / span
    return tuple(mean.tolist()), tuple(std.tolist())


def read_cells(table: TextTable, columns: Sequence[Column]) -> NDArray[np.float32]:
    """Return the cells of known columns (N, F): places of numbers and dates, numbers of categories, NaN for nothing.

    A category that the training rows do not have counts as nothing. Raises BrokenSample, naming the line, where a
    column of numbers or dates holds something else.
    """
    cells = np.empty((len(table), len(columns)), np.float32)
    for place, values in enumerate(_read_columns(table, columns)):
        cells[:, place] = columns[place].places(values) if columns[place].knots else values
    return cells


def read_truth(table: TextTable, columns: Sequence[Column]) -> NDArray[np.float32]:
    """Return the cells of known columns (N, F) as they are to be measured on, whatever the scaler; see `to_range`.

    Raises BrokenSample as `read_cells` does.
    """
    cells = np.empty((len(table), len(columns)), np.float32)
    for place, values in enumerate(_read_columns(table, columns)):
        cells[:, place] = columns[place].to_range(values)
    return cells


def _read_columns(table: TextTable, columns: Sequence[Column]) -> Iterator[NDArray[np.float64]]:
    """Yield the values (N,) of known columns: numbers, seconds from 1970, numbers of categories; NaN for nothing."""
    chosen, nothing = _chosen(table, columns)
    formats = number_formats(chosen, nothing)
    for column, text in zip(columns, chosen.columns, strict=True):
        yield _read_column(chosen, text, column, formats, nothing)


def _chosen(table: TextTable, columns: Sequence[Column]) -> tuple[TextTable, Missing]:
    """Return the table of known columns, in their order, and what tells that a cell of theirs holds nothing."""
    known = {column.name: column for column in table.columns}
    nothing = Missing(columns[0].missing if columns else ())
    return replace(table, columns=[known[column.name] for column in columns]), nothing


def missing_cells(table: TextTable, columns: Sequence[Column]) -> NDArray[np.bool_]:
    """Return which cells of known columns (N, F) hold nothing; an unknown category is something."""
    chosen, nothing = _chosen(table, columns)
    return np.stack([np.fromiter(map(nothing, column), bool, len(table)) for column in chosen.columns], 1)


def written_forms(table: TextTable, columns: Sequence[Column]) -> list[NumberFormat | TimeFormat | None]:
    """Return how a file writes the numbers and dates of known columns, for `Column.text`.

    Where a column holds none, its numbers are written as the others of the file, with as many decimals as those that
    were learnt from.
    """
    chosen, nothing = _chosen(table, columns)
    formats = number_formats(chosen, nothing)
    decimal = "," if any(form.decimal == "," for form in formats.values()) else "."
    forms: list[NumberFormat | TimeFormat | None] = []
    for column, cells in zip(columns, chosen.columns, strict=True):
        if column.categories:
            forms.append(None)
        elif column.kind == "date":
            forms.append(find_time_format(cells, nothing))
        elif cells.name in formats:
            forms.append(as_spelled(formats[cells.name], cells))
        else:
            forms.append(NumberFormat(decimal, decimals=column.decimals))
    return forms


def unseen_categories(table: TextTable, columns: Sequence[Column]) -> dict[str, Counter[str]]:
    """Return what stands in a column, by its name, and is none of its categories, and how often it does."""
    chosen, nothing = _chosen(table, columns)
    found = {
        column.name: Counter(cell for cell in cells if cell not in categories and not nothing(cell))
        for column, cells in zip(columns, chosen.columns, strict=True)
        if (categories := frozenset(column.categories))
    }
    return {name: counts for name, counts in found.items() if counts}


def _read_column(
    table: TextTable, cells: TextColumn, column: Column, formats: Mapping[str, NumberFormat], nothing: Missing
) -> NDArray[np.float64]:
    if column.categories:
        numbers = {text: number for number, text in enumerate(column.categories)}
        return np.array([math.nan if nothing(cell) else numbers.get(cell, math.nan) for cell in cells], np.float64)
    if column.kind == "date":
        return seconds_of(table, cells, find_time_format(cells, nothing) or column._times, nothing)
    return numbers_of(table, cells, formats.get(column.name, PLAIN), nothing)


def seconds_of(table: TextTable, cells: TextColumn, form: TimeFormat, nothing: Missing) -> NDArray[np.float64]:
    """Return the seconds from 1970 of a column of dates (N,), NaN for nothing, by the clocks that they tell.

    Raises BrokenSample that names the line of another cell.
    """
    seconds = np.full(len(cells), math.nan)
    for row, cell in enumerate(cells):
        if not nothing(cell):
            time = form.value(cell)
            if time is None:
                raise broken(table, row, cells.name, f"{cell[:40]!r} is no date that is written as the others are")
            seconds[row] = (time - EPOCH).total_seconds()
    return seconds


def numbers_of(table: TextTable, cells: TextColumn, form: NumberFormat, nothing: Missing) -> NDArray[np.float64]:
    """Return the numbers of a column (N,), NaN for nothing. Raises BrokenSample that names the line of another cell."""
    try:
        values = read_numbers(cells, form, nothing)
    except NotANumber as error:
        reason = f"{error.cell[:40]!r} is not a number; leave the cell empty where none is known"
        raise broken(table, error.row, cells.name, reason) from error
    for row in np.flatnonzero(np.isinf(values))[:1].tolist():
        raise broken(table, row, cells.name, "holds a number that is infinite")
    return values


def broken(table: TextTable, row: int, column: str, reason: str) -> BrokenSample:
    """Return what is wrong with a cell of a table, with its line and column."""
    return BrokenSample(str(table.path), f"line {table.lines[row]}, column {column[:60]!r}: {reason}")


def num_channels(columns: Sequence[Column]) -> int:
    """Return C: a channel for places, and one for each category that a column can have."""
    return 1 + max((len(column.categories) for column in columns), default=0)


def as_image(cells: NDArray[np.float32], columns: Sequence[Column]) -> NDArray[np.float32]:
    """Return the cells of rows (…, F) as images (…, C, F): a place, or one-hot which category; NaN elsewhere.

    So a column is one patch, a missing cell a patch of which nothing exists, and nobody else knows of categories.
    """
    num = np.array([len(column.categories) for column in columns])
    image = np.full((*cells.shape[:-1], num_channels(columns), len(columns)), np.nan, np.float32)
    image[..., 0, :] = np.where(num == 0, cells, np.nan)
    ids, cells = np.arange(image.shape[-2] - 1)[:, None], cells[..., None, :]
    there = (ids < num) & ~np.isnan(cells)
    image[..., 1:, :][there] = (ids == cells)[there]
    return image


def as_cells(image: NDArray[np.float32], columns: Sequence[Column]) -> NDArray[np.float32]:
    """Return the cells (…, F) of images (…, C, F): the place, or the category of the highest number; NaN for none."""
    cells = image[..., 0, :].astype(np.float32, copy=True)
    for place, column in enumerate(columns):
        if column.categories:
            shares = image[..., 1 : 1 + len(column.categories), place]
            nothing = np.isnan(shares)
            highest = np.where(nothing, -np.inf, shares).argmax(-1)
            cells[..., place] = np.where(nothing.all(-1), np.nan, highest)
    return cells
