"""What is missing, with what else, and where.

Shapes: N rows, F columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.tables.study.cells import MOST_COLUMNS, Cells

TOGETHER = 0.3
"""Correlation of two columns' gaps from which it is told."""
APART = 0.1
"""How far the chance that a row which lacks a cell lies above one which has it is off a half, from which it is told."""
SURE = 6.0
"""Standard errors that both are off at least: many pairs are tried."""
FEWEST = 20
"""Rows that lack a cell, and that have it, from which a column is compared."""
MOST_LACKING = 30
"""Columns that are compared, those that lack most."""


@dataclass(frozen=True)
class Pattern:
    """Which columns are missing together in how many rows."""

    columns: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Together:
    """Two columns that are missing in the same rows, or never in the same."""

    first: int
    second: int
    correlation: float


@dataclass(frozen=True)
class Elsewhere:
    """A column that is missing more often at some values of another."""

    column: int
    other: int
    above: float | None
    """How likely a row that lacks it has a greater value of the other than one that has it, of numbers."""
    category: int | None = None
    """Of categories the one where it is missing most often."""
    share: float = 0.0
    """Share of the rows of that category that lack it."""
    share_elsewhere: float = 0.0

    @property
    def strength(self) -> float:
        return abs(self.above - 0.5) if self.above is not None else (self.share - self.share_elsewhere) / 2


def patterns_of(cells: Cells) -> list[Pattern]:
    """Return what is missing together, the most frequent first, rows that lack nothing among them."""
    missing = np.isnan(cells.values[:, cells.inputs])
    packed = np.ascontiguousarray(np.packbits(missing, axis=1))
    rows = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, first, counts = np.unique(rows, return_index=True, return_counts=True)
    places = np.array(cells.inputs)
    found = [
        Pattern(tuple(places[missing[row]].tolist()), num)
        for row, num in zip(first.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(found, key=lambda pattern: -pattern.rows)


def missing_together(cells: Cells) -> list[Together]:
    """Return the columns whose gaps correlate, the strongest first."""
    lacking = _lacking(cells)
    if len(lacking) < 2:
        return []
    gaps = np.isnan(cells.values[:, lacking]).astype(np.float64)
    correlation = np.atleast_2d(np.corrcoef(gaps, rowvar=False))
    found = [
        Together(lacking[i], lacking[j], float(correlation[i, j]))
        for i in range(len(lacking))
        for j in range(i + 1, len(lacking))
        if abs(correlation[i, j]) >= max(TOGETHER, SURE / np.sqrt(len(cells)))
    ]
    return sorted(found, key=lambda pair: -abs(pair.correlation))


def missing_elsewhere(cells: Cells) -> list[Elsewhere]:
    """Return for each column that is missing more often at some values of another the column that tells it most."""
    best = []
    for column in _lacking(cells):
        found = max(_of_column(cells, column), key=lambda each: each.strength, default=None)
        if found is not None:
            best.append(found)
    return best


def _lacking(cells: Cells) -> list[int]:
    missing = np.isnan(cells.values).sum(0)
    enough = [place for place in cells.inputs if FEWEST <= missing[place] <= len(cells) - FEWEST]
    return sorted(sorted(enough, key=lambda place: -missing[place])[:MOST_LACKING])


def _of_column(cells: Cells, column: int) -> Iterator[Elsewhere]:
    lacks = np.isnan(cells.values[:, column])
    for other, field in enumerate(cells.fields[:MOST_COLUMNS]):
        values = cells.values[:, other]
        known = ~np.isnan(values)
        if other == column or min(lacks[known].sum(), (~lacks[known]).sum()) < FEWEST:
            continue
        if field.is_numeric:
            yield from _by_rank(column, other, values[known], lacks[known])
        else:
            yield from _by_category(column, other, values[known], lacks[known])


def _by_rank(column: int, other: int, values: NDArray[np.float64], lacks: NDArray[np.bool_]) -> Iterator[Elsewhere]:
    """Yield what the statistic of Mann and Whitney tells."""
    from scipy.stats import rankdata  # type: ignore[import-untyped]  # heavy

    num, others = int(lacks.sum()), int((~lacks).sum())
    above = float((rankdata(values)[lacks].mean() - (num + 1) / 2) / others)
    error = float(np.sqrt((num + others + 1) / (12 * num * others)))
    if abs(above - 0.5) >= max(APART, SURE * error):
        yield Elsewhere(column, other, above)


def _by_category(column: int, other: int, values: NDArray[np.float64], lacks: NDArray[np.bool_]) -> Iterator[Elsewhere]:
    """Yield the category in which most is missing, where that is far from all others."""
    ids = values.astype(np.int64)
    rows, lacking = np.bincount(ids), np.bincount(ids, lacks)
    shares = np.where(rows >= FEWEST, lacking / np.maximum(rows, 1), 0.0)
    most = int(shares.argmax())
    inside, outside = int(rows[most]), int(rows.sum() - rows[most])
    if min(inside, outside) < FEWEST:
        return
    elsewhere = float((lacking.sum() - lacking[most]) / outside)
    mean = float(lacks.mean())
    error = float(np.sqrt(mean * (1 - mean) * (1 / inside + 1 / outside)))
    if shares[most] - elsewhere >= max(2 * APART, SURE * error):
        yield Elsewhere(column, other, None, most, float(shares[most]), elsewhere)
