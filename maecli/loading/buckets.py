"""Batches of samples that are evaluated at their own size: those of one size come together.

Where a data set resampled them, they are alike in the size that their files have, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from maecli.data.sample import Split
from maecli.errors import BrokenSample

WINDOW = 16
"""Batches whose samples wait, at most, for others of their size."""
MAX_VALUES = 2**24
"""Cells of a batch, over all its samples: 64 of 512 x 512. A larger sample is a batch by itself."""


def by_size(split: Split, ids: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the samples at the positions `ids` in batches of one size.

    Samples whose size only decoding would tell come one by one, and so do those that cannot be read.
    """
    if type(split).size is Split.size:
        yield from (ids[i : i + 1] for i in range(len(ids)))
        return
    waiting: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for start in range(0, len(ids), WINDOW * batch_size):
        for index in ids[start : start + WINDOW * batch_size].tolist():
            try:
                sizes = split.size(index), split.own_size(index)
            except BrokenSample:
                yield np.array([index])
                continue
            alike = waiting.setdefault(sizes, [])
            alike.append(index)
            if len(alike) >= batch_size or (len(alike) + 1) * max(map(math.prod, sizes)) > MAX_VALUES:
                yield np.array(waiting.pop(sizes))
        for sizes in [*waiting]:
            yield np.array(waiting.pop(sizes))
