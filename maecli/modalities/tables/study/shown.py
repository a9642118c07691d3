"""What a page shows of a table: tables and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from maecli.modalities.study import Bars, Topic
from maecli.modalities.tables.study.cells import Cells, Field
from maecli.modalities.tables.study.dependence import Pair
from maecli.modalities.tables.study.missingness import Pattern
from maecli.modalities.tables.study.outliers import Outliers
from maecli.results import Table
from maecli.text import number_of, shortened, some

MOST_LISTED, MOST_BARS, MOST_PATTERNS, EXAMPLES = 100, 30, 12, 3


def columns(cells: Cells) -> Topic:
    """Return what each column was taken for, and why."""
    rows = []
    for place, field in enumerate(cells.fields[:MOST_LISTED]):
        values = cells.values[:, place]
        there = values[~np.isnan(values)]
        different, counts = np.unique(there, return_counts=True)
        frequent = different[np.argsort(-counts, kind="stable")[:EXAMPLES]]
        examples = some([shortened(field.text(value), 40) for value in frequent.tolist()], EXAMPLES)
        missing = f"{1 - len(there) / len(values):.1%}" if len(there) < len(values) else ""
        kind = f"{field.kind}, to be predicted" if field.target else field.kind
        rows.append((field.name, kind, _why(field, len(different)), len(different), missing, examples))
    title = "What columns were taken for, by what their cells show"
    table = Table(title=title, columns=("column", "type", "since", "different", "missing", "as"), rows=tuple(rows))
    return Topic(title="Columns", text=(cells.limits,) if cells.limits else (), tables=(table,))


def _why(field: Field, different: int) -> str:
    return {
        "number": "some decimals" if field.column is not None else "numbers",
        "integer": "no decimals",
        "boolean": f"{' and '.join(field.categories)} alone",
        "category": number_of(different, "text"),
        "date": f"written as {field.column.time}" if field.column is not None else "dates",
    }[field.kind]


def missing(cells: Cells, patterns: Sequence[Pattern]) -> Topic | None:
    """Return which cells are missing, and which together."""
    gaps = np.isnan(cells.values).mean(0)
    lacking = [place for place in np.argsort(-gaps, kind="stable").tolist() if gaps[place] and place in cells.inputs]
    if not lacking:
        return None
    listed = patterns[:MOST_PATTERNS]
    first = f", the {len(listed)} most frequent of {len(patterns):,}" if len(listed) < len(patterns) else ""
    rows = tuple(
        (
            some([cells.fields[place].name for place in pattern.columns], 8) or "nothing",
            pattern.rows,
            f"{pattern.rows / len(cells):.1%}",
        )
        for pattern in listed
    )
    table = Table(title=f"What rows lack{first}", columns=("missing together", "rows", "share"), rows=rows)
    bars = Bars(
        name="missing by column",
        caption="Share of the rows that lack a cell of each column.",
        x_label="missing",
        lengths={cells.fields[place].name: float(gaps[place]) for place in lacking[:MOST_BARS]},
        unit="share",
    )
    return Topic(title="Missing cells", tables=(table,), charts=(bars,))


def outliers(cells: Cells, found: Mapping[int, Outliers]) -> Topic | None:
    """Return which values are far from all others."""
    rows = tuple(
        (
            cells.fields[place].name,
            len(each.rows),
            cells.fields[place].text(each.median),
            cells.fields[place].text(float(cells.values[each.rows[0], place])),
            cells.keys[each.rows[0]],
            each.distance,
        )
        for place, each in found.items()
    )
    title = "Values far from all others; a deviation is 1.4826 times the median absolute one"
    names = ("column", "rows", "median", "farthest", "in", "deviations")
    return Topic(title="Outliers", tables=(Table(title=title, columns=names, rows=rows),)) if rows else None


def correlated(cells: Cells, pairs: Sequence[Pair]) -> Topic | None:
    """Return the columns of numbers that are most correlated."""
    listed = pairs[:MOST_PATTERNS]
    rows = tuple(
        (cells.fields[pair.first].name, cells.fields[pair.second].name, f"{pair.correlation:+.3f}") for pair in listed
    )
    title = "Columns of numbers that are most correlated, by their values or by their ranks"
    table = Table(title=title, columns=("column", "with", "correlation"), rows=rows)
    return Topic(title="Correlations", tables=(table,)) if rows else None
