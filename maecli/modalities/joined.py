"""Samples of several folders and files as one split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from maecli.data.sample import Places, Sample, Split, View
from maecli.errors import BrokenSample


class Joined(View):
    """The samples of splits, whose keys follow what stands before each; of several of one key the first."""

    def __init__(self, parts: Sequence[tuple[str, Split]]) -> None:
        places: dict[str, tuple[str, Split, int]] = {}
        for before, split in parts:
            for index, key in enumerate(split.keys):
                places.setdefault(before + key, (before, split, index))
        super().__init__(Places.of((split, index) for _, split, index in places.values()), list(places))
        self._before = [before for before, *_ in places.values()]

    def __getitem__(self, index: int) -> Sample:
        with self._named(index):
            return super().__getitem__(index)

    def size(self, index: int) -> tuple[int, ...]:
        with self._named(index):
            return super().size(index)

    def own_size(self, index: int) -> tuple[int, ...]:
        with self._named(index):
            return super().own_size(index)

    def small(self, index: int, at_least: int) -> np.ndarray:
        with self._named(index):
            return super().small(index, at_least)

    @contextmanager
    def _named(self, index: int) -> Iterator[None]:
        """Let a broken sample be named from the folder that holds all."""
        try:
            yield
        except BrokenSample as error:
            raise BrokenSample(self._before[index] + error.fault.path, error.fault.reason) from error


def join_files(root: Path, paths: Sequence[str], open_one: Callable[[Path], tuple[Path, Split]]) -> Split:
    """Return the samples of files, each opened by itself, by keys below `root`."""
    parts = []
    for path in paths:
        folder, split = open_one(root / path)
        below = folder.relative_to(root).as_posix()
        parts.append(("" if below == "." else f"{below}/", split))
    return Joined(parts)
