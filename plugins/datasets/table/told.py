"""What a person is told of a table: what its columns were taken for, and how to say otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from maecli import api

from .hiding import NAMES

MOST_NAMED = 12
PLURALS = {
    "number": "numbers",
    "integer": "whole numbers",
    "boolean": "truths",
    "category": "categories",
    "date": "dates",
}


def reading(path_name: str, num_rows: int, columns: Sequence[api.tables.Column]) -> str:
    """Return one line: how many rows there are, and of what."""
    kinds = [(kind, sum(column.kind == kind for column in columns)) for kind in PLURALS]
    parts = ", ".join(f"{num} of {PLURALS[kind]}" for kind, num in kinds if num)
    return f"{_count(num_rows, 'row')} of {path_name} with {_count(len(columns), 'column')}: {parts}"


def notes(
    table: api.tables.TextTable,
    found: Sequence[api.tables.Kindred],
    columns: Sequence[api.tables.Column],
    missing: NDArray[np.bool_],
    target: str = "",
    seen: bool = False,
) -> Iterator[str]:
    """Yield sentences: what is to be predicted, of each kind which columns, what was left out and why, what lacks.

    `missing`: which cells (N, F) of columns hold nothing in the file.
    `seen`: whether the run of `--init` saw what is to be predicted.
    """
    yield from table.notes
    if target:
        yield f"the column {target!r} is to be predicted, and is no part of what a model sees"
    if seen:
        yield (
            f"the run of --init saw the column {target!r} of all its training rows: what a share of labels is worth is "
            "told only by one that was pretrained with dataset.target"
        )
    for kind, plural in PLURALS.items():
        if names := [column.name for column in columns if column.kind == kind]:
            yield f"{plural}: {_listed(names)}"
    yield "another type is had by --set dataset.types.COLUMN=number, integer, boolean, category, date or ignore"
    kept = {target, *(column.name for column in columns)}
    for kindred in found:
        name = kindred.cells.name
        if name in kept or kindred.why == "as you say":
            continue
        way = f"; --set dataset.types.{name}=category takes it" if "free text" in kindred.why else ""
        yield f"the column {name!r} is left out: it {kindred.why or 'holds nothing in the training rows'}{way}"
    num = missing.sum(0)
    if num.any():
        order = [i for i in np.argsort(-num, kind="stable").tolist() if num[i]]
        parts = [f"{columns[i].name} {num[i]:,}" for i in order]
        yield f"{int(num.sum()):,} of {missing.size:,} cells are missing: {_listed(parts)}"


def hidden(
    mechanism: str, columns: Sequence[api.tables.Column], cells: NDArray[np.bool_], missing: NDArray[np.bool_]
) -> str:
    """Return which cells (N, F) are taken away, and of which columns none are."""
    whole = [columns[i].name for i in np.flatnonzero(~np.any(cells, 0)).tolist()]
    kept = f"; none of {_listed(whole)}" if whole else ""
    num, there = int(cells.sum()), int((~missing).sum())
    return (
        f"{num:,} of the {there:,} cells that are there are hidden, {NAMES[mechanism]}, in training too, and are "
        f"measured on alone{kept}"
    )


def left_out(target: str, num: int) -> dict[str, int]:
    """Return how many rows are not learnt from, since what is to be predicted is missing there."""
    return {f"row{'' if num == 1 else 's'} in which {target} is missing": num} if num else {}


def no_target(path_name: str, target: str, names: Sequence[str]) -> str:
    """Return why there is no column to predict, and how to name one."""
    there = f"the columns of {path_name} are {_listed([name[:40] for name in names])}"
    if not target:
        return f"the column to predict is not named; give --set dataset.target=COLUMN: {there}"
    return f"dataset.target names the column {target!r}, which is not there; {there}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _count(num: int, word: str) -> str:
    return f"{num:,} {word}{'' if num == 1 else 's'}"
