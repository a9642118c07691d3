"""What processes make of the batches of one split, each of its share, in rounds, after which they wait for others."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Generator, Iterator
from typing import TypeVar

from maecli.errors import Fault
from maecli.loading.loader import Loader
from maecli.parallel.world import HANG_S, World

T = TypeVar("T")

QUICK_S = HANG_S / 10
"""How long a round may take for one of `HANG_S` to be no slow one, but one that hangs."""


def rounds(own: Generator[T, None, None], world: World) -> Iterator[T | None]:
    """Yield what this process makes, one in each round, and None once it has no more, until after that of none.

    Each waits for the others `HANG_S`, after which it raises LostProcess; but a day in the first round, and where one
    of the last four took any of them more than `QUICK_S`, what is done with what was yielded included. What one
    raises, all do.
    """
    quick, more = False, True
    took: deque[float] = deque(maxlen=4)
    with contextlib.closing(own):
        begin = time.monotonic()
        while more:
            with world.together(in_step=quick):
                made = next(own, None)
                took.append(time.monotonic() - begin)
            more, slow = world.any(made is not None, max(took) > QUICK_S)
            quick, begin = not slow, time.monotonic()
            yield made


def shared(own: Generator[T, None, None], loader: Loader, world: World) -> Iterator[T]:
    """Yield, in the first process, what all have made, by turns; in the others nothing. See `rounds`.

    The loader's `on_fault` is told there of the faults that any has met.
    """
    faults: list[Fault] = []
    if not world.main:
        loader.on_fault = faults.append
    for made in rounds(own, world):
        parts = world.gathered((made, [*faults]), only_first=True)
        faults.clear()
        for one, met in parts:
            for fault in met:
                loader.on_fault(fault)
            if one is not None:
                yield one
