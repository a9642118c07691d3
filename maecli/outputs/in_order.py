"""What was made of samples, brought back into their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_WAITING = 100_000
"""Samples that wait for an earlier one; when there are more, it is no longer waited for."""


class InOrder(Generic[T]):
    """Gives values in the order of their keys, as soon as all earlier keys are settled: by a value, or by None."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        self._next = 0
        self._waiting: dict[str, T | None] = {}

    def settle(self, key: str, value: T | None) -> Iterator[T]:
        """Take what was made of a key, None for nothing, and yield all values whose turn has come."""
        self._waiting[key] = value
        while self._next < len(self.keys):
            first = self.keys[self._next]
            if first not in self._waiting and len(self._waiting) <= MOST_WAITING:
                break
            self._next += 1
            settled = self._waiting.pop(first, None)
            if settled is not None:
                yield settled

    def rest(self) -> Iterator[T]:
        """Yield all that waits, for what is never settled."""
        late = [self._waiting.pop(key) for key in self.keys[self._next :] if key in self._waiting]
        yield from (value for value in (*late, *self._waiting.values()) if value is not None)
        self._waiting.clear()
