"""What a person is told of a table: each finding in a sentence, with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

import numpy as np

from maecli.modalities.study import Finding
from maecli.modalities.tables.study.cells import Cells
from maecli.modalities.tables.study.dependence import Pair
from maecli.modalities.tables.study.missingness import Elsewhere, Pattern, Together
from maecli.modalities.tables.study.outliers import Outliers
from maecli.text import number_of, some

NAMED, MOST_SAID = 8, 10
ROWS_MISSING = 0.5
"""Share of the rows that lack a cell from which it is told."""


def on_same(cells: Cells, pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Yield what to know of columns that say the same, those of a target first."""
    fields = cells.fields
    for pair in sorted(pairs, key=lambda pair: not (fields[pair.first].target or fields[pair.second].target))[
        :MOST_SAID
    ]:
        first, second = fields[pair.first], fields[pair.second]
        first, second = (second, first) if first.target else (first, second)
        alike = f"correlation {pair.correlation:.4f}"
        if first.target:
            told = f"{first.name} and {second.name}, both to be predicted, say the same ({alike})."
        elif second.target:
            told = (
                f"{first.name} says what {second.name} is, which is to be predicted ({alike}): "
                f"{_leave_out(first.name)}, unless it is known before {second.name} is."
            )
        else:
            told = f"{first.name} and {second.name} say the same ({alike}): one is enough; {_leave_out(second.name)}."
        yield Finding(kind="leak" if second.target else "copy", of=(first.name, second.name), told=told)


def on_determined(
    cells: Cells, pairs: Sequence[tuple[int, int]], same: Set[tuple[int, int]] = frozenset()
) -> Iterator[Finding]:
    """Yield what to know of columns that determine others, those of a target first; `same` was told already."""
    fields, all_pairs = cells.fields, set(pairs)
    fresh = [pair for pair in pairs if pair not in same and pair[::-1] not in same and not fields[pair[0]].target]
    for first, second in sorted(fresh, key=lambda pair: not fields[pair[1]].target)[:MOST_SAID]:
        name, other = fields[first].name, fields[second].name
        if fields[second].target:
            told = (
                f"{name} determines {other}, which is to be predicted: {_leave_out(name)}, unless it is known before "
                f"{other} is."
            )
            yield Finding(kind="leak", of=(name, other), told=told)
        elif (second, first) not in all_pairs:
            told = (
                f"{name} determines {other}, row by row: {other} adds nothing; {_leave_out(other)} if you keep {name}."
            )
            yield Finding(kind="dependence", of=(name, other), told=told)
        elif first < second:
            told = f"{name} and {other} determine each other, row by row: one is enough; {_leave_out(other)}."
            yield Finding(kind="dependence", of=(name, other), told=told)


def on_sums(cells: Cells, groups: Sequence[tuple[int, ...]]) -> Iterator[Finding]:
    """Yield what to know of columns that follow from others, as a total from its parts."""
    for group in groups[:MOST_SAID]:
        names = [cells.fields[place].name for place in group]
        target = next((cells.fields[place].name for place in group if cells.fields[place].target), "")
        if target:
            others = some([name for name in names if name != target], NAMED)
            told = (
                f"{target}, which is to be predicted, follows from {others} by adding and subtracting: leave one of "
                "these out, unless all are known before it is."
            )
        else:
            told = (
                f"Each of {some(names, NAMED)} follows from the others by adding and subtracting, as a total does from "
                f"its parts: one adds nothing; {_leave_out(names[-1])}."
            )
        yield Finding(kind="leak" if target else "dependence", of=tuple(names), told=told)


def on_row_numbers(cells: Cells) -> Iterator[Finding]:
    """Yield the columns that number the rows."""
    for place, field in enumerate(cells.fields):
        values = cells.values[:, place]
        there = values[~np.isnan(values)]
        num, rows = len(np.unique(there)), cells.num_rows
        if field.kind == "integer" and num == len(there) == rows == there.max() - there.min() + 1:
            told = f"{field.name} numbers the rows, which says nothing of new ones: {_leave_out(field.name)}."
            yield Finding(kind="row number", of=(field.name,), told=told)


def on_missing(cells: Cells, patterns: Sequence[Pattern]) -> Iterator[Finding]:
    """Yield that many rows lack a cell, where they do."""
    rows = sum(pattern.rows for pattern in patterns if pattern.columns)
    if rows >= ROWS_MISSING * len(cells):
        names = {place for pattern in patterns for place in pattern.columns}
        told = (
            f"{rows:,} of {number_of(len(cells), 'row')} lack a cell, of {number_of(len(names), 'column')}: whoever "
            "leaves out rows with gaps has few left, so impute them (mae infer --task impute)."
        )
        yield Finding(kind="missing", told=told)


def on_missing_together(cells: Cells, pairs: Sequence[Together]) -> Iterator[Finding]:
    """Yield what to know of columns that are missing in the same rows, or in none of the same."""
    for pair in pairs[:MOST_SAID]:
        first, second = cells.fields[pair.first].name, cells.fields[pair.second].name
        if pair.correlation > 0:
            told = (
                f"{first} and {second} are missing in the same rows (correlation {pair.correlation:.2f}): neither "
                "helps to fill in the other there; look where both come from."
            )
        else:
            told = (
                f"Where {first} is missing {second} is there, and the other way round (correlation "
                f"{pair.correlation:.2f}): they may be one column under two names; look whether to join them."
            )
        yield Finding(kind="missing together", of=(first, second), told=told)


def on_missing_elsewhere(cells: Cells, found: Sequence[Elsewhere]) -> Iterator[Finding]:
    """Yield what to know of columns that are missing more often at some values of others."""
    for each in sorted(found, key=lambda each: -each.strength)[:MOST_SAID]:
        name, other = cells.fields[each.column].name, cells.fields[each.other]
        if each.above is not None:
            side, share = ("high", each.above) if each.above > 0.5 else ("low", 1 - each.above)
            above = "higher" if each.above > 0.5 else "lower"
            which = f"in {share:.0%} of pairs of rows it is {above} in the one that lacks {name}"
            where = f"where {other.name} is {side} ({which})"
        else:
            category = other.text(float(each.category or 0))
            where = f"where {other.name} is {category} ({each.share:.0%} there, {each.share_elsewhere:.0%} elsewhere)"
        told = (
            f"{name} is missing more often {where}, so not by chance alone: its mean over the other rows misleads; "
            "fill it in by the other columns (mae infer --task impute)."
        )
        yield Finding(kind="missing at random", of=(name, other.name), told=told)


def on_outliers(cells: Cells, found: Mapping[int, Outliers]) -> Iterator[Finding]:
    """Yield the values far from all others: those that say nothing is known, and the rest in one sentence."""
    codes = {place: each.code for place, each in found.items() if each.code is not None}
    for place, value in [*codes.items()][:MOST_SAID]:
        field = cells.fields[place]
        code, times = field.text(value).replace(",", ""), int((cells.values[:, place] == value).sum())
        told = (
            f"{field.name} is {code} in {number_of(times, 'row')}, far from all others (median "
            f"{field.text(found[place].median)}): if that says that nothing is known, --set dataset.missing=[{code}]."
        )
        yield Finding(kind="code", of=(field.name,), told=told)
    others = [place for place in found if place not in codes]
    if others:
        each = some([_far(cells, place, found[place]) for place in others], NAMED)
        told = (
            f"Values are far from all others: {each}. Mend mistakes; if they are right, --set dataset.scaler=quantile "
            "keeps their weight small."
        )
        yield Finding(kind="outliers", of=tuple(cells.fields[place].name for place in others), told=told)


def _far(cells: Cells, place: int, outliers: Outliers) -> str:
    field, row = cells.fields[place], int(outliers.rows[0])
    value = field.text(float(cells.values[row, place]))
    rows = number_of(len(outliers.rows), "row")
    return f"of {field.name} in {rows}, as {value} in {cells.keys[row]} (median {field.text(outliers.median)})"


def on_limits(cells: Cells, limits: Mapping[int, tuple[float, int]]) -> Iterator[Finding]:
    """Yield the columns that are cut off at their greatest value."""
    for place, (value, num) in [*limits.items()][:MOST_SAID]:
        field = cells.fields[place]
        known = int((~np.isnan(cells.values[:, place])).sum())
        told = (
            f"{field.name} ends at {field.text(value)}, where {number_of(num, 'row')} stand ({num / known:.1%}): it "
            "seems cut off there, so these rows are at least that; leave them out where the true value matters."
        )
        yield Finding(kind="limit", of=(field.name,), told=told)


def _leave_out(name: str) -> str:
    return f"leave it out by --set dataset.types.{name}=ignore"
