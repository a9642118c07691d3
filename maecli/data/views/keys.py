"""The keys of very many samples, in little memory."""

from __future__ import annotations

import itertools
import operator
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

AT_ONCE = 1 << 14
"""Keys that are made to texts at a time where all are wanted."""


class Keys(Sequence[str]):
    """Texts that lie one behind the other: each takes its own bytes and 16 more, and is made when it is asked for.

    A list of them takes some 60 bytes more for each. Parts share the texts.
    """

    def __init__(self, texts: bytes | bytearray, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self._texts, self._starts, self._ends = texts, starts, ends

    @classmethod
    def of(cls, keys: Iterable[str]) -> Keys:
        """Return texts as keys, the same where they are keys already."""
        if isinstance(keys, Keys):
            return keys
        growing = GrowingKeys()
        for key in keys:
            growing.append(key)
        return growing.keys()

    @classmethod
    def joined(cls, parts: Iterable[Sequence[str]]) -> Keys:
        """Return keys behind each other; parts of the same keys go on sharing their texts."""
        some = [Keys.of(part) for part in parts if len(part)]
        if len({id(part._texts) for part in some}) != 1:
            return cls.of(itertools.chain.from_iterable(some))
        starts = np.concatenate([part._starts for part in some])
        return cls(some[0]._texts, starts, np.concatenate([part._ends for part in some]))

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Keys: ...
    def __getitem__(self, index: int | slice) -> str | Keys:
        if isinstance(index, slice):
            return Keys(self._texts, self._starts[index], self._ends[index])
        return self._texts[self._starts[index] : self._ends[index]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            for begin, end in zip(self._starts[part].tolist(), self._ends[part].tolist(), strict=True):
                yield self._texts[begin:end].decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        return are_equal(self, other) if isinstance(other, Sequence) and not isinstance(other, str) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def take(self, ids: ArrayLike) -> Keys:
        """Return the keys at some positions, in their order."""
        places = np.asarray(ids, np.int64)
        return Keys(self._texts, self._starts[places], self._ends[places])

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Return the texts behind each other, and the bytes (N,) of each."""
        ends, starts = self._ends, self._starts
        if len(self) and not (starts[0] == 0 and ends[-1] == len(self._texts) and (starts[1:] == ends[:-1]).all()):
            return Keys.of(iter(self)).arrays()
        return np.frombuffer(self._texts if len(self) else b"", np.uint8), (ends - starts).astype(np.int32)

    @classmethod
    def of_arrays(cls, texts: NDArray[np.uint8], lengths: NDArray[np.int32]) -> Keys:
        """Return what `arrays` gave. Raises ValueError where it is something else."""
        ends = np.cumsum(lengths, dtype=np.int64)
        if texts.dtype != np.uint8 or lengths.ndim != 1 or (lengths < 0).any() or ends[-1:].sum() != texts.size:
            raise ValueError("no texts and their lengths")
        return cls(texts.tobytes(), ends - lengths, ends)

    def behind(self, num_bytes: NDArray[np.int64]) -> Keys:
        """Return the keys without so many bytes at their beginnings, which end where a letter does."""
        return Keys(self._texts, self._starts + num_bytes, self._ends)


def num_bytes(key: str) -> int:
    """Return how many bytes a key takes."""
    return len(key) if key.isascii() else len(key.encode("utf-8", "surrogateescape"))


class GrowingKeys:
    """Keys that come one by one."""

    def __init__(self) -> None:
        self._texts, self._ends = bytearray(), array("q", [0])

    def append(self, key: str) -> None:
        self._texts += key.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._texts))

    def keys(self) -> Keys:
        """Return those that came by now."""
        ends = np.array(self._ends, np.int64)
        return Keys(self._texts, ends[:-1], ends[1:])


def are_equal(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether keys are equal, however they are held."""
    return len(some) == len(others) and all(map(operator.eq, some, others))


def take(keys: Sequence[str], ids: Sequence[int] | NDArray[np.int64]) -> Sequence[str]:
    """Return the keys at some positions, as they are held."""
    return keys.take(ids) if isinstance(keys, Keys) else [keys[i] for i in ids]


def are_sorted(keys: Sequence[str]) -> bool:
    """Whether no key stands before a lesser one."""
    return all(map(operator.le, keys, itertools.islice(keys, 1, None)))


def first_of_each(keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the positions of the keys that no earlier one is equal to."""
    hashes, first = np.fromiter(map(hash, keys), np.int64, len(keys)), np.ones(len(keys), bool)
    ordered = np.sort(hashes)
    repeated, seen = np.unique(ordered[1:][ordered[1:] == ordered[:-1]]), set[str]()
    for i in np.flatnonzero(np.isin(hashes, repeated)).tolist() if len(repeated) else ():
        first[i] = keys[i] not in seen
        seen.add(keys[i])
    return np.flatnonzero(first)
