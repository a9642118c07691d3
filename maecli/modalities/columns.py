"""Which columns of a person's CSV file are those that a model learned from: by their names, or by their number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maecli.errors import BrokenSample, nearest

MOST_NAMED = 8
"""Columns that a reason names."""


def find_columns(path: Path, columns: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the positions of the columns of these names; others are ignored.

    Raises `BrokenSample` that tells what is missing, and what is left over, if not each is there once.
    """
    missing = [name for name in names if name not in columns]
    others = [column for column in columns if column not in names]
    if missing:
        besides = f"; left over: {_listed(others)}" if others else ""
        close = nearest(missing[0], others) if len(missing) == 1 else ""
        plural = "s" if len(missing) > 1 else ""
        raise BrokenSample(
            str(path), f"lacks the column{plural} {_listed(missing)}, by which the model learned{besides}{close}"
        )
    if twice := [name for name in names if columns.count(name) > 1]:
        raise BrokenSample(str(path), f"has more than one column {_listed(twice)}; keep one of them")
    return [columns.index(name) for name in names]


def count_columns(path: Path, columns: Sequence[str], ids: Sequence[int], number: int) -> list[int]:
    """Return the positions `ids` of a file's columns. Raises `BrokenSample` if there are not as many as `number`."""
    if len(ids) != number:
        found = _listed([columns[i] for i in ids])
        plural = "" if number == 1 else "s"
        reason = (
            f"has {len(ids)} columns ({found}) where {number} column{plural} of numbers are wanted; leave out others"
        )
        raise BrokenSample(str(path), reason)
    return list(ids)


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(repr(name[:40]) for name in names[:MOST_NAMED])
    return f"{listed} and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else listed
