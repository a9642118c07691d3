"""The numbers in rows of predictions: their mean, and where the lowest and the highest are."""

from __future__ import annotations

from dataclasses import dataclass

from maecli.outputs.rows import Row

MOST_COLUMNS = 12
"""Columns that are summed up; more would be no summary."""


@dataclass
class Column:
    """What is known of a column of numbers."""

    num: int = 0
    total: float = 0.0
    lowest: tuple[float, str] = (float("inf"), "")
    """With the path of its sample."""
    highest: tuple[float, str] = (float("-inf"), "")

    @property
    def mean(self) -> float:
        return self.total / max(self.num, 1)


class Numbers:
    """Sums up the first columns that hold numbers."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}

    def add(self, row: Row) -> None:
        """Take the row of a sample."""
        for name, value in row.items():
            if not isinstance(value, float) or (name not in self.columns and len(self.columns) == MOST_COLUMNS):
                continue
            column = self.columns.setdefault(name, Column())
            column.num += 1
            column.total += value
            if value < column.lowest[0]:
                column.lowest = value, str(row["path"])
            if value > column.highest[0]:
                column.highest = value, str(row["path"])
