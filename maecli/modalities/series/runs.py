"""Runs of steps that have something in common."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def runs(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield first and end of each run of true flags (T,)."""
    changes = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    yield from zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)
