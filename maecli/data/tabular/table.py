"""A table as text: for each column the cells of all rows, close together.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**16
"""Rows of a block."""


class TextColumn:
    """The stripped cells of a column: blocks of joined text and where each cell ends, so a letter and 4 bytes a cell.

    It is filled by `extend`, a whole block each time but for the last one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._texts: list[str] = []
        self._ends: list[NDArray[np.int32]] = []

    def extend(self, cells: Sequence[str]) -> None:
        """Add the cells of a block."""
        self._texts.append("".join(cells))
        self._ends.append(np.cumsum(np.fromiter(map(len, cells), np.int32, len(cells)), dtype=np.int32))

    def __len__(self) -> int:
        return sum(map(len, self._ends))

    def __getitem__(self, row: int) -> str:
        block, place = divmod(row, BLOCK)
        ends = self._ends[block]
        return self._texts[block][ends[place - 1] if place else 0 : ends[place]]

    def blocks(self) -> Iterator[list[str]]:
        """Yield the cells of each block, in order."""
        for text, block in zip(self._texts, self._ends, strict=True):
            ends = block.tolist()
            yield [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def __iter__(self) -> Iterator[str]:
        for block in self.blocks():
            yield from block


@dataclass(frozen=True)
class TextTable:
    """The cells of a file as they are written there, by column."""

    path: Path
    columns: Sequence[TextColumn]
    """With names that are distinct."""
    lines: NDArray[np.int64]
    """The line (N,) of each row in its file, counted from 1."""
    notes: Sequence[str] = ()
    """What a person should know of the reading: sentences without a full stop."""
    decimal_commas: bool = False
    """Whether numbers with a comma in them have more likely decimals than thousands behind it."""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def __len__(self) -> int:
        return len(self.lines)
