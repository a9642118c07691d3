"""The files that the samples of a split come from: their names, sizes, times and contents."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maecli.data.sample import Split

FILES_AT_ONCE = 512
READ_IN_TURN, BYTES_IN_TURN = 8, 32 << 20
"""Files, and their bytes, that a thread reads before others get their turn."""
READ_AT_ONCE = 1 << 20
NO_FILE = -1
"""In place of the size of a file that is not there."""
UNREADABLE = ""
"""In place of the hash of a file that cannot be read."""


def files_of(split: Split) -> tuple[list[str], list[str]]:
    """Return the files of all samples, each once, in order: by names that stay when the data move, and by path."""
    named: dict[str, str] = {}
    unnamed: dict[str, Path] = {}
    files_at: Callable[[int], Sequence[Path]] = split.files
    if callable(files_at):  # a data set of before there was such a method may have an attribute of this name
        for index, key in enumerate(split.keys):
            _name(files_at(index), key, named, unnamed)
    named |= zip(unnamed, _below_common_folder(list(unnamed.values())), strict=True)
    return list(named.values()), list(named)


def _name(paths: Sequence[Path], key: str, named: dict[str, str], unnamed: dict[str, Path]) -> None:
    """Name the files of a sample: the key of a sample is most often the path of its picture within the data."""
    texts = [os.fspath(path).replace(os.sep, "/") for path in paths]
    base = next((text[: -len(key)] for text in texts if f"/{text}".endswith(f"/{key}")), None)
    for text, path in zip(texts, paths, strict=True):
        if text in named:
            continue
        if base is not None and text.startswith(base):
            named[text] = text[len(base) :]
        else:
            unnamed.setdefault(text, Path(path))


def _below_common_folder(paths: Sequence[Path]) -> list[str]:
    try:
        base = os.path.commonpath([path.parent for path in paths]) if paths else ""
        return [path.relative_to(base).as_posix() for path in paths]
    except ValueError:  # on several drives
        return [path.name for path in paths]


def states_of(paths: Sequence[str], pool: ThreadPoolExecutor) -> tuple[list[int], list[int]]:
    """Return the size of each file, `NO_FILE` where there is no regular one, and its time of change in nanoseconds."""
    batches = [paths[i : i + FILES_AT_ONCE] for i in range(0, len(paths), FILES_AT_ONCE)]
    states = [state for batch in pool.map(_states, batches) for state in batch]
    return [size for size, _ in states], [time for _, time in states]


def _states(paths: Iterable[str]) -> list[tuple[int, int]]:
    states = []
    for path in paths:
        try:
            state = os.stat(path)  # noqa: PTH116  # a Path for each of very many files would take longer than this
        except (OSError, ValueError):
            states.append((NO_FILE, 0))
            continue
        regular = stat.S_ISREG(state.st_mode)  # reading a pipe would never end
        states.append((state.st_size, state.st_mtime_ns) if regular else (NO_FILE, 0))
    return states


def hashes_of(files: Iterable[tuple[str, int]], pool: ThreadPoolExecutor) -> list[str]:
    """Return the hash of what each file holds, given paths and sizes; `UNREADABLE` where it cannot be read."""
    return [each for batch in pool.map(_hashes, _batches(files)) for each in batch]


def _batches(files: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Yield files to be read one after the other: an interruption waits for those that were begun."""
    batch: list[tuple[str, int]] = []
    num_bytes = 0
    for path, size in files:
        batch.append((path, size))
        num_bytes += size
        if len(batch) == READ_IN_TURN or num_bytes >= BYTES_IN_TURN:
            yield batch
            batch, num_bytes = [], 0
    yield batch


def _hashes(files: Iterable[tuple[str, int]]) -> list[str]:
    return [content_hash(path) if size != NO_FILE else UNREADABLE for path, size in files]


def content_hash(path: str) -> str:
    """Return the hash of a file's bytes, `UNREADABLE` where it cannot be read."""
    digest = hashlib.blake2b(digest_size=8)
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # as above
            while block := file.read(READ_AT_ONCE):
                digest.update(block)
    except (OSError, ValueError):
        return UNREADABLE
    return digest.hexdigest()
