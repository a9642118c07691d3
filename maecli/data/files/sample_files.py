"""The files that the samples of a split come from: their names, sizes, times and contents."""

from __future__ import annotations

import hashlib
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from maecli.data.sample import Split
from maecli.data.views.keys import GrowingKeys, Keys, first_of_each, num_bytes

NUM_THREADS, NUM_TURNS = 8, 1024
"""Files are shared out in so many turns; an interruption waits for those that were begun."""
READ_AT_ONCE = 1 << 20
NUM_RECENT = 1 << 12
"""Files that are remembered, because the next samples may be of them."""
UNNAMED = -1
"""In place of where the name of a file begins, where no sample is named by its path."""
NO_FILE = -1
"""In place of the size of a file that is not there."""
UNREADABLE = ""
"""In place of the hash of a file that cannot be read."""

T = TypeVar("T")


class SampleFiles(NamedTuple):
    """Files, each once: the names that stay when the data move, and their paths without what stands `before` all."""

    paths: Keys
    names: Keys
    before: str = ""


def files_of(split: Split) -> SampleFiles:
    """Return the files of all samples, in order."""
    keys = Keys.of(split.keys)
    base = _base_of_all(split, keys)
    return SampleFiles(keys, keys, base) if base is not None else _gathered(split, keys)


def _base_of_all(split: Split, keys: Keys) -> str | None:
    """Return what stands before the key of each sample in the path of its only file; None where some are not so."""
    base: str | None = None
    for index, key in enumerate(keys):
        paths = _paths(split, index)
        if base is None:
            base = _base(paths[0], key) if paths else None
        if base is None or len(paths) != 1 or paths[0] == base or paths[0] != base + key:
            return None
    return base


def _paths(split: Split, index: int) -> list[str]:
    return [os.fspath(path).replace(os.sep, "/") for path in split.files(index)]


def _base(path: str, key: str) -> str | None:
    """Return what stands before a key in the path of its file, None where that is not named by it."""
    return path[: -len(key)] if f"/{path}".endswith(f"/{key}") else None


def _gathered(split: Split, keys: Keys) -> SampleFiles:
    """Return the files of samples that have several each, or share them, or are not named by them."""
    growing, before = GrowingKeys(), array("q")
    recent: set[str] = set()
    for index, key in enumerate(keys):  # most often the path of a picture within the data
        paths = _paths(split, index)
        if recent.issuperset(paths):  # as of samples that share a file
            continue
        base = next((base for path in paths if (base := _base(path, key)) is not None), None)
        for path in paths:
            is_named = base is not None and path.startswith(base) and path != base
            growing.append(path)
            before.append(num_bytes(base or "") if is_named else UNNAMED)
        if len(recent) > NUM_RECENT:
            recent.clear()
        recent.update(paths)
    all_paths, offsets = growing.keys(), np.array(before, np.int64)
    first = first_of_each(all_paths)
    if len(first) < len(all_paths):
        all_paths, offsets = all_paths.take(first), offsets[first]
    unnamed = np.flatnonzero(offsets == UNNAMED)
    offsets[unnamed] = _behind_common(all_paths.take(unnamed))
    return SampleFiles(all_paths, all_paths.behind(offsets))


def _behind_common(paths: Keys) -> list[int]:
    """Return at which byte of each path its name begins: what follows the folder that holds all, else the last part."""
    try:
        common = os.path.commonpath({path.rpartition("/")[0] for path in paths}) if paths else ""
    except ValueError:  # on several drives
        return [num_bytes(path) - num_bytes(path.rpartition("/")[2]) for path in paths]
    return [num_bytes(path) - num_bytes(path[len(common) :].lstrip("/")) for path in paths]


def in_threads(function: Callable[[str], T], paths: Sequence[str], before: str = "") -> Iterator[T]:
    """Yield a function's answer for each file, with something `before` its path."""
    for _, answers in _turns(lambda turn: [function(before + path) for path in turn], paths):
        yield from answers


def states_of(paths: Sequence[str], before: str = "") -> NDArray[np.int64]:
    """Return what `state_of` says of each of N files (N, 2), with something `before` their paths."""
    states = np.empty((len(paths), 2), np.int64)
    for begin, some in _turns(lambda turn: np.array([state_of(before + path) for path in turn], np.int64), paths):
        states[begin : begin + len(some)] = some
    return states


def _turns(work: Callable[[Sequence[str]], T], paths: Sequence[str]) -> Iterator[tuple[int, T]]:
    """Yield what comes of a part of the files at a time, with the position of its first one.

    Disks, above all distant ones, answer several at once.
    """
    begins = range(0, len(paths), 1 + len(paths) // NUM_TURNS)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        yield from zip(begins, pool.map(work, [paths[i : i + begins.step] for i in begins]), strict=True)


def state_of(path: str) -> tuple[int, int]:
    """Return the size of a file, `NO_FILE` where there is no regular one, and its time of change in nanoseconds."""
    try:
        state = os.stat(path)  # noqa: PTH116  # a Path for each of very many files would take longer than this
    except (OSError, ValueError):
        return NO_FILE, 0
    regular = stat.S_ISREG(state.st_mode)  # reading a pipe would never end
    return (state.st_size, state.st_mtime_ns) if regular else (NO_FILE, 0)


def content_hash(path: str) -> str:
    """Return the hash of what a file holds, `UNREADABLE` where it cannot be read."""
    if state_of(path)[0] == NO_FILE:
        return UNREADABLE
    digest = hashlib.blake2b(digest_size=8)
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # as above
            while block := file.read(READ_AT_ONCE):
                digest.update(block)
    except (OSError, ValueError):
        return UNREADABLE
    return digest.hexdigest()
