"""Answers to the question which of very many keys has what, as arrays: dictionaries take a hundred bytes for each key.

Shapes: N keys, M keys that are looked for.
"""

from __future__ import annotations

import operator
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maecli.data.views.keys import Keys

NONE = -1
"""In place of a position, or of the number of a value."""
SOUGHT_AT_ONCE = 1 << 16
"""Keys that are looked for at a time, as what is held of each is more than its answer."""

V = TypeVar("V")


class Positions:
    """Where each of N keys stands: 16 bytes for each. Of equal keys the last one counts, as in a dictionary."""

    def __init__(self, keys: Keys) -> None:
        hashes = _hashes(keys)
        self._keys, self._order = keys, np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def find(self, keys: Iterable[str]) -> NDArray[np.int64]:
        """Return the positions (M,) of some keys, `NONE` of those that are not there."""
        wanted = Keys.of(keys)
        parts = [self._find(wanted[i : i + SOUGHT_AT_ONCE]) for i in range(0, len(wanted), SOUGHT_AT_ONCE)]
        return np.concatenate([np.empty(0, np.int64), *parts])

    def _find(self, wanted: Keys) -> NDArray[np.int64]:
        hashes, found = _hashes(wanted), np.full(len(wanted), NONE, np.int64)
        last = np.searchsorted(self._hashes, hashes, "right") - 1
        there = np.flatnonzero((last >= 0) & (self._hashes[last] == hashes)) if len(self._hashes) else last[:0]
        candidates = self._order[last[there]]
        same = np.fromiter(map(operator.eq, self._keys.take(candidates), wanted.take(there)), bool, len(there))
        found[there[same]] = candidates[same]
        for i in there[~same].tolist():  # of two texts with one hash
            found[i] = self.of(wanted[i])
        return found

    def of(self, key: str) -> int:
        """Return the position of a key, `NONE` where it is not there."""
        return (self.all_of(key) or [NONE])[-1]

    def all_of(self, key: str) -> list[int]:
        """Return the positions of all keys that are equal to one, in rising order."""
        first, end = (int(np.searchsorted(self._hashes, hash(key), side)) for side in ("left", "right"))
        return [position for position in self._order[first:end].tolist() if self._keys[position] == key]


def _hashes(keys: Sequence[str]) -> NDArray[np.int64]:
    """Return a number for each key, which is another one in another process."""
    return np.fromiter(map(hash, keys), np.int64, len(keys))


class ByKey(Mapping[str, V]):
    """One of some `values` for each of those of N keys that have one, by its number (N,) in `codes`, else `NONE`.

    To go through all of it is quick, and so is to ask for many keys at once; a single key takes some microseconds.
    """

    def __init__(self, of: Sequence[str], codes: ArrayLike, values: Sequence[V]) -> None:
        self.of, self.codes, self.distinct = Keys.of(of), np.asarray(codes, np.int32), tuple(values)
        self._num = int(np.count_nonzero(self.codes != NONE))

    @classmethod
    def gathered(cls, of: Sequence[str], known: Mapping[str, V]) -> ByKey[V]:
        """Return what is `known` of keys, values that can be hashed; the same where it is of these keys already."""
        if isinstance(known, ByKey):
            return known if known.of is of else ByKey(of, known.codes_of(of), known.distinct)
        numbers: dict[V, int] = {}
        codes = np.fromiter(
            (numbers.setdefault(known[key], len(numbers)) if key in known else NONE for key in of), np.int32, len(of)
        )
        return ByKey(of, codes, tuple(numbers))

    def codes_of(self, keys: Sequence[str]) -> NDArray[np.int32]:
        """Return the numbers (M,) of the values of some keys, `NONE` of those that have none."""
        if keys is self.of:
            return self.codes
        positions = self._positions.find(keys)
        return np.append(self.codes, np.int32(NONE))[positions]

    def updated(self, more: Mapping[str, V]) -> ByKey[V]:
        """Return this with other values for some of the keys."""
        known = ByKey.gathered(self.of, more)
        numbers = {value: i for i, value in enumerate(self.distinct)}
        places = [numbers.setdefault(value, len(numbers)) for value in known.distinct]
        codes = np.array([*places, NONE], np.int32)[known.codes]
        return ByKey(self.of, np.where(codes != NONE, codes, self.codes), tuple(numbers))

    def renamed(self, names: Mapping[V, V]) -> ByKey[V]:
        """Return this with other names for some values."""
        values: dict[V, int] = {}
        places = [values.setdefault(names.get(value, value), len(values)) for value in self.distinct]
        return ByKey(self.of, np.array([*places, NONE], np.int32)[self.codes], tuple(values))

    @cached_property
    def used(self) -> tuple[V, ...]:
        """The values that any key has."""
        return tuple(self.distinct[i] for i in np.unique(self.codes[self.codes != NONE]).tolist())

    @cached_property
    def _positions(self) -> Positions:
        return Positions(self.of)

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind hashes, which another process makes anew."""
        return {name: value for name, value in self.__dict__.items() if name != "_positions"}

    def __len__(self) -> int:
        return self._num

    def __iter__(self) -> Iterator[str]:
        return iter(self.of if self._num == len(self.of) else self.of.take(np.flatnonzero(self.codes != NONE)))

    def __getitem__(self, key: str) -> V:
        position = self._positions.of(key)
        if position == NONE or self.codes[position] == NONE:
            raise KeyError(key)
        return self.distinct[self.codes[position]]

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def items(self) -> ItemsView[str, V]:
        return _Items(self)


class _Values(ValuesView[V]):
    _mapping: ByKey[V]

    def __iter__(self) -> Iterator[V]:
        mapping = self._mapping
        return map(mapping.distinct.__getitem__, mapping.codes[mapping.codes != NONE].tolist())


class _Items(ItemsView[str, V]):
    _mapping: ByKey[V]

    def __iter__(self) -> Iterator[tuple[str, V]]:
        return zip(self._mapping, self._mapping.values(), strict=True)
