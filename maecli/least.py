"""The few things of the lowest rank, chosen as they come: how many come takes no memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Least(Generic[T]):
    """The few things of the lowest rank, in whatever order they come."""

    def __init__(self, most: int) -> None:
        self.most, self.num = most, 0
        """How many there may be, and how many came."""
        self._heap: list[tuple[float, int, T]] = []  # that of the highest rank first

    def add(self, rank: float, place: int, make: Callable[[], T]) -> None:
        """Take a thing, which is made only if it is kept; of two of one rank that of the lower place comes first."""
        self.num += 1
        key = (-rank, -place)
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, (*key, make()))
        elif key > self._heap[0][:2]:
            heapq.heapreplace(self._heap, (*key, make()))

    @property
    def things(self) -> list[T]:
        return [thing for *_, thing in sorted(self._heap, key=lambda entry: (-entry[0], -entry[1]))]
