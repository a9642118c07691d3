"""A person's own file, handed back with what was missing in its samples filled in.

Shapes: C channels, S spatial axes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import NDArray


class HandBack(ABC):
    """Takes the samples of one file, in any order, and gives the file: what was not missing is as it was, byte by byte.

    Whatever of it finds the file changed or unreadable raises BrokenSample.
    """

    @abstractmethod
    def add(self, part: str, values: NDArray[Any]) -> None:
        """Take a sample (C, *S) with what is missing in it filled in, as the card has samples.

        `part` is what follows # in its key: which part of the file it is.
        """

    @abstractmethod
    def contents(self) -> Iterable[bytes]:
        """Return the file in pieces, to be called when all samples came; one that never came stays as it was."""

    @abstractmethod
    def mark(self) -> tuple[str, Iterable[bytes]]:
        """Return the suffix and the contents of a file that says which parts were filled in."""

    def notes(self) -> Sequence[str]:
        """Return sentences on what was filled in and what was not, without a full stop."""
        return ()
