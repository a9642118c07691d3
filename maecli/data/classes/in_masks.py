"""Which classes each mask of a split shows: by these, samples are spread over splits and folds.

Every mask is decoded once in a process, whatever it is asked for; of very large sets a part is, the same in every one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np

from maecli.data.sample import Split
from maecli.data.splits import place
from maecli.errors import BrokenSample

MOST_PIXELS = 2**31
"""Of all masks that are read: about 10,000 of photographs of 500 × 400, which takes less than a minute on two cores."""
NUM_THREADS = 8
SAY_EVERY_S = 5.0

_seen: dict[tuple[object, ...], frozenset[int]] = {}


def classes_in_masks(
    split: Split, void: int, way: str, say: Callable[[str], None] | None = None
) -> dict[str, frozenset[int]]:
    """Return the classes that the mask of each sample shows, `void` left out; the samples need have no more than that.

    Masks that cannot be read are left out, and those beyond `MOST_PIXELS`. What was seen of the same files before,
    read in the same `way`, is not looked at again. `say` is told how far it has come.
    """
    keys = split.keys
    ids = list(_within_bounds(split, sorted(range(len(keys)), key=lambda i: place(keys[i]))))
    shown: dict[str, frozenset[int]] = {}
    told = time.monotonic()
    with ThreadPoolExecutor(NUM_THREADS) as pool:  # decoders let other threads run
        seen = pool.map(lambda i: _classes_in(split, i, void, way), ids)
        for num, (i, classes) in enumerate(zip(ids, seen, strict=True), 1):
            if classes is not None:
                shown[keys[i]] = classes
            if say is not None and time.monotonic() - told > SAY_EVERY_S:
                told = time.monotonic()
                say(f"looking for the classes in masks, to spread them over the splits: {num:,} of {len(ids):,}")
    return shown


def _within_bounds(split: Split, ids: list[int]) -> Iterator[int]:
    """Yield positions from the front while their masks have no more than `MOST_PIXELS` together."""
    pixels = 0
    for i in ids:
        try:
            pixels += prod(split.size(i))
        except BrokenSample:
            continue
        if pixels > MOST_PIXELS:
            return
        yield i


def _classes_in(split: Split, index: int, void: int, way: str) -> frozenset[int] | None:
    """Return what a mask shows, None for one that cannot be read, which is told when it is read for use."""
    try:
        states = [os.stat(file) for file in split.files(index)]  # noqa: PTH116  # a hundred thousand of them
        names = tuple(map(str, split.files(index)))
        code = (way, *names, *((state.st_size, state.st_mtime_ns) for state in states))
        if not names or code not in _seen:
            numbers = frozenset(np.unique(split[index]["mask"]).tolist()) - {void}
            if not names:
                return numbers
            _seen[code] = numbers
        return _seen[code]
    except (BrokenSample, OSError):
        return None
