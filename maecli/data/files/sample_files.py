"""The files that the samples of a split come from: their names, sizes, times and contents."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from maecli.data.sample import Split

NUM_THREADS, NUM_TURNS = 8, 1024
"""Files are shared out in so many turns; an interruption waits for those that were begun."""
READ_AT_ONCE = 1 << 20
NO_FILE = -1
"""In place of the size of a file that is not there."""
UNREADABLE = ""
"""In place of the hash of a file that cannot be read."""

T = TypeVar("T")


def files_of(split: Split) -> dict[str, str]:
    """Return the files of all samples, each once, in order: by path, the names that stay when the data move."""
    names: dict[str, str] = {}
    for index, key in enumerate(split.keys):  # most often the path of a picture within the data
        paths = [os.fspath(path).replace(os.sep, "/") for path in split.files(index)]
        if all(map(names.__contains__, paths)):  # as of samples that share a file
            continue
        base = next((path[: -len(key)] for path in paths if f"/{path}".endswith(f"/{key}")), None)
        for path in paths:
            names.setdefault(path, path[len(base) :] if base is not None and path.startswith(base) else "")
    unnamed = [path for path, name in names.items() if not name]
    try:
        common = os.path.commonpath([path.rpartition("/")[0] for path in unnamed]) if unnamed else ""
    except ValueError:  # on several drives
        return {path: name or path.rpartition("/")[2] for path, name in names.items()}
    return {path: name or path[len(common) :].lstrip("/") for path, name in names.items()}


def in_threads(function: Callable[[str], T], paths: Sequence[str]) -> list[T]:
    """Return a function's answer for each file: disks, above all distant ones, answer several questions at once."""
    step = 1 + len(paths) // NUM_TURNS
    turns = [paths[i : i + step] for i in range(0, len(paths), step)]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        answers = pool.map(lambda turn: [function(path) for path in turn], turns)
        return [answer for turn in answers for answer in turn]


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
