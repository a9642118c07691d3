"""Columns that give others away: copies, sums of others, and categories that determine them.

Shapes: N rows, F columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.tables.study.cells import MOST_COLUMNS, Cells

Values = NDArray[np.float64]

SAME = 0.999
"""Correlation, of values or of their ranks, from which two columns say the same."""
FOLLOWS = 0.9999
"""Share of a column's variance that others explain, from which it follows from them."""
HAS_PART = 0.01
"""Share of a deviation that another column contributes at least to be one of these."""
DETERMINES = 0.999
"""Share of the rows that a category must tell right to determine another column."""
MOSTLY = 0.98
"""Share of a column's most frequent value from which nothing is to be determined."""
REPEATED = 5
"""Rows of a category on average, at least, for it to determine anything."""
MOST_KINDS, MOST_PAIRS = 1000, 2000
"""Different whole numbers of a column that counts as one of categories, and pairs of such that are compared."""
FEWEST = 30


@dataclass(frozen=True)
class Pair:
    """Two columns and their correlation, the greater of that of the values and that of the ranks."""

    first: int
    second: int
    correlation: float


def correlations(cells: Cells) -> list[Pair]:
    """Return the pairs of columns of numbers, the most correlated first."""
    places = [place for place, field in enumerate(cells.fields[:MOST_COLUMNS]) if field.is_numeric]
    values = cells.values[:, places]
    raw, ranked = _correlate(values), _correlate(_ranks(values))
    strongest = np.where(np.abs(raw) >= np.abs(ranked), raw, ranked)
    pairs = [
        Pair(places[i], places[j], float(strongest[i, j]))
        for i in range(len(places))
        for j in range(i + 1, len(places))
    ]
    return sorted(pairs, key=lambda pair: -abs(pair.correlation))


def sums(cells: Cells, but: frozenset[int] = frozenset()) -> Iterator[tuple[int, ...]]:
    """Yield groups of columns of numbers of which each follows from the others, as a total from its parts."""
    places = [place for place, field in enumerate(cells.fields[:MOST_COLUMNS]) if field.is_numeric and place not in but]
    values = cells.values[:, places]
    values = values[~np.isnan(values).any(1)]
    if len(values) < max(FEWEST, 5 * len(places)):
        return
    varies = np.flatnonzero(values.std(0) > 1e-6 * np.abs(values).max(0))
    places, values = [places[i] for i in varies], values[:, varies]
    correlation = np.corrcoef(values, rowvar=False).reshape(len(places), len(places))
    while parts := next(filter(None, (_parts(correlation, k) for k in range(len(places)))), ()):
        yield tuple(sorted(places[i] for i in parts))
        correlation = np.delete(np.delete(correlation, parts[0], 0), parts[0], 1)
        places = [place for i, place in enumerate(places) if i != parts[0]]


def determined(cells: Cells) -> Iterator[tuple[int, int]]:
    """Yield columns of categories, or of few whole numbers, and others that they determine row by row."""
    kinds = {
        place: ids for place in range(len(cells.fields[:MOST_COLUMNS])) if (ids := _kinds(cells, place)) is not None
    }
    left = MOST_PAIRS
    for first, ids in kinds.items():
        for second in range(len(cells.fields[:MOST_COLUMNS])):
            if second == first or not left:
                continue
            left -= 1
            if _determines(ids, cells.values[:, second], kinds.get(second)):
                yield first, second


def told_by_number(cells: Cells) -> Iterator[tuple[int, int]]:
    """Yield columns of numbers that tell a category to be predicted by a few limits, each and that."""
    for target, field in enumerate(cells.fields):
        if not field.target or field.is_numeric:
            continue
        for place in cells.inputs[:MOST_COLUMNS]:
            if cells.fields[place].is_numeric and _kinds(cells, place) is None:
                values, kinds = cells.values[:, place], cells.values[:, target]
                both = ~np.isnan(values) & ~np.isnan(kinds)
                if both.any() and _splits(values[both], kinds[both].astype(np.int64)):
                    yield place, target


def _splits(values: Values, kinds: NDArray[np.int64]) -> bool:
    """Return whether categories (N,) change no more often along a column than there are categories, but for errors."""
    _, ids = np.unique(values, return_inverse=True)
    changes = int((np.diff(kinds[np.argsort(values, kind="stable")]) != 0).sum())
    few = changes <= len(np.unique(kinds)) - 1 + (1 - DETERMINES) * len(values)
    return few and _determines(ids, kinds.astype(np.float64), kinds)


def _correlate(values: Values) -> Values:
    """Return the correlation of each two columns (F, F), over the rows in which both are known."""
    there = ~np.isnan(values)
    mean = np.where(there, values, 0.0).sum(0) / np.maximum(there.sum(0), 1)
    apart = np.where(there, values - mean, 0.0)
    scale = np.abs(apart).max(0, initial=0.0)
    apart = apart / np.where(scale > 0, scale, 1.0)
    known = there.astype(np.float64)
    num, sums_, squares = known.T @ known, apart.T @ known, np.square(apart).T @ known
    num = np.maximum(num, 1)
    product = apart.T @ apart - sums_ * sums_.T / num
    variance = np.maximum(squares - np.square(sums_) / num, 0.0)
    norm = np.sqrt(variance * variance.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((norm > 1e-12) & (num >= FEWEST), product / norm, 0.0)


def _ranks(values: Values) -> Values:
    from scipy.stats import rankdata  # type: ignore[import-untyped]  # heavy

    ranks: Values = rankdata(values, axis=0, nan_policy="omit") if values.size else values
    return ranks


def _parts(correlation: Values, k: int) -> tuple[int, ...]:
    """Return a column and those that it follows from, by all correlations; nothing where it does not, or by one."""
    others = np.delete(np.arange(len(correlation)), k)
    if len(others) < 2:
        return ()
    by = correlation[others, k]
    shares, *_ = np.linalg.lstsq(correlation[np.ix_(others, others)], by, rcond=1e-10)
    if float(shares @ by) < FOLLOWS:
        return ()
    parts = [int(i) for i, share in zip(others, shares, strict=True) if abs(share) >= HAS_PART]
    return (k, *parts) if len(parts) > 1 else ()


def _kinds(cells: Cells, place: int) -> NDArray[np.int64] | None:
    """Return the number of each row's category (N,), -1 for nothing; None where a column has none, or too many."""
    field, values = cells.fields[place], cells.values[:, place]
    if field.kind not in ("category", "boolean", "integer"):
        return None
    there = ~np.isnan(values)
    different, ids = np.unique(values[there], return_inverse=True)
    if not 2 <= len(different) <= MOST_KINDS or there.sum() < REPEATED * len(different):
        return None
    found = np.full(len(values), -1, np.int64)
    found[there] = ids
    return found


def _determines(ids: NDArray[np.int64], values: Values, kinds: NDArray[np.int64] | None) -> bool:
    """Return whether categories (N,) tell a column row by row, where both are known."""
    both = (ids >= 0) & ~np.isnan(values)
    if both.sum() < FEWEST:
        return False
    ids, values = ids[both], values[both]
    rows = np.bincount(ids)
    if kinds is not None:
        other = kinds[both]
        num = int(other.max()) + 1
        counts = np.bincount(ids * num + other, minlength=len(rows) * num).reshape(len(rows), num)
        mostly = counts.sum(0).max() / len(ids)
        return bool(mostly <= MOSTLY and counts.max(1).sum() >= DETERMINES * len(ids))
    total = float(np.square(values - values.mean()).sum())
    means = np.bincount(ids, values) / np.maximum(rows, 1)
    return total > 0 and float(np.square(values - means[ids]).sum()) <= (1 - FOLLOWS) * total
