"""A person's own files: found below a folder, read with a reason where that fails, and the samples that they hold."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from maecli.data.classes.label_files import LABELS_FILES
from maecli.data.files.finding import find_files
from maecli.data.files.unread import Unread, what_is_there
from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, DataError

MAX_KEPT = 2**26
"""Numbers of files that stay in memory, because the next sample is most often of the same file: 256 MiB."""


def find_source(
    source: Path,
    suffixes: Collection[str],
    noun: str,
    unread: Sequence[Unread] = (),
    find: Callable[[Path], list[str]] | None = None,
) -> tuple[Path, list[str]]:
    """Return a root and the files below it that end so, as relative paths, for a file or a folder.

    `find` returns samples of a folder, where names alone do not tell. Raises DataError where there are none, naming
    what is there.
    """
    source = source.expanduser()
    if source.is_file():
        return source.parent, [source.name]
    endings = ", ".join(sorted(suffixes))
    if not source.is_dir():
        raise DataError(f"{source} does not exist; give a file ({endings}) or a folder of {noun}")
    found = find(source) if find is not None else find_files(source)
    ends = tuple(suffixes) if find is None else ""
    keys = [
        path for path in found if path.lower().endswith(ends) and path.rpartition("/")[2].lower() not in LABELS_FILES
    ]
    if not keys:
        there = what_is_there(find_files(source), unread, suffixes)
        raise DataError(f"{source} holds no {noun} ({endings}), also not in its folders; {there}")
    return source, keys


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Turn whatever a decoder raises into a `BrokenSample` of that path with a reason for people."""
    try:
        yield
    except (BrokenSample, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise BrokenSample(str(path), f"cannot be opened: {os.strerror(error.errno).lower()}") from error
        raise BrokenSample(str(path), _reason(error)) from error
    except Exception as error:  # decoders raise almost anything on damaged files
        raise BrokenSample(str(path), _reason(error)) from error


def _reason(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0].removeprefix(f"{type(error).__name__}: ")[:120]
    if "imagecodecs" in text:
        return f"compressed in a way that needs the package imagecodecs: {text.split(' requires')[0]}"
    if "truncated" in text or isinstance(error, EOFError):
        return "truncated file"
    return f"damaged file: {text or type(error).__name__}"


@contextmanager
def named(key: str) -> Iterator[None]:
    """Let a broken sample be named as the person does: by its path relative to the root."""
    try:
        yield
    except BrokenSample as error:
        raise BrokenSample(key, error.fault.reason) from error


class Files(Split):
    """Files below a folder, a sample each; what is wrong with one is told by its key.

    `read` returns what a file holds, or raises BrokenSample; it goes to other processes.
    """

    def __init__(self, root: Path, keys: Sequence[str], read: Callable[[Path], np.ndarray]) -> None:
        self.root, self._keys, self.read = root, keys, read

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def files(self, index: int) -> Sequence[Path]:
        return [self.root / self._keys[index]]

    def __getitem__(self, index: int) -> Sample:
        return {"image": self.read_key(self._keys[index])}

    def read_key(self, key: str) -> np.ndarray:
        with named(key):
            return self.read(self.root / key)


class FileParts(Files):
    """Files that hold several samples each, such as the rows of a table: their keys are `path#part`.

    A file that cannot be read counts as one sample, which is broken.
    """

    def __init__(self, root: Path, paths: Sequence[str], read: Callable[[Path], np.ndarray]) -> None:
        super().__init__(root, (), read)
        self.paths = paths
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()
        names = [self._names(path) for path in paths]
        self._keys = [path + name for path, parts in zip(paths, names, strict=True) for name in parts]
        places = [(file, part) for file, parts in enumerate(names) for part in range(len(parts))]
        self._places = np.array(places, np.int64).reshape(-1, 2)

    @abstractmethod
    def names(self, values: np.ndarray) -> Sequence[str]:
        """Return what follows the path in the key of each part of a file; nothing, if a file is a single sample."""

    @abstractmethod
    def part(self, values: np.ndarray, number: int) -> np.ndarray:
        """Return a part of a file as a sample's image (C, *S)."""

    def files(self, index: int) -> Sequence[Path]:
        return [self.root / self.paths[self._places[index, 0]]]

    def __getitem__(self, index: int) -> Sample:
        file, part = self._places[index].tolist()
        return {"image": self.part(self.read_key(self.paths[file]), part)}

    def read_key(self, key: str) -> np.ndarray:
        if key not in self._kept:
            self._kept[key] = super().read_key(key)
            while len(self._kept) > 1 and sum(values.size for values in self._kept.values()) > MAX_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _names(self, path: str) -> Sequence[str]:
        try:
            return self.names(self.read_key(path)) or [""]
        except BrokenSample:
            return [""]
