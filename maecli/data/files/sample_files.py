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
    """Files, each once: by path, and the names that stay when the data move."""

    paths: Keys
    names: Keys


def files_of(split: Split) -> SampleFiles:
    """Return the files of all samples, in order."""
    growing, before = GrowingKeys(), array("q")
    recent: set[str] = set()
    for index, key in enumerate(split.keys):  # most often the path of a picture within the data
        paths = [os.fspath(path).replace(os.sep, "/") for path in split.files(index)]
        if recent.issuperset(paths):  # as of samples that share a file
            continue
        base = next((path[: -len(key)] for path in paths if f"/{path}".endswith(f"/{key}")), None)
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


def in_threads(function: Callable[[str], T], paths: Sequence[str]) -> list[T]:
    """Return a function's answer for each file."""
    return [answer for turn in _turns(lambda turn: [*map(function, turn)], paths) for answer in turn]


def states_of(paths: Sequence[str], before: str = "") -> NDArray[np.int64]:
    """Return what `state_of` says of each of N files (N, 2), with something `before` their paths."""
    turns = _turns(lambda turn: np.array([state_of(before + path) for path in turn], np.int64), paths)
    return np.concatenate([np.empty((0, 2), np.int64), *turns])


def _turns(work: Callable[[Sequence[str]], T], paths: Sequence[str]) -> Iterator[T]:
    """Yield what comes of a part of the files at a time: disks, above all distant ones, answer several at once."""
    step = 1 + len(paths) // NUM_TURNS
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        yield from pool.map(work, [paths[i : i + step] for i in range(0, len(paths), step)])


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
