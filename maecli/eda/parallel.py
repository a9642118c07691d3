"""A pass over the samples of a split, many at once: decoders release the interpreter. Of large ones, only a few."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from maecli.errors import BrokenSample, Fault
from maecli.hardware import num_cores

R = TypeVar("R")

MAX_THREADS = 16
AHEAD = 16
"""Samples that are started per thread before the first of them is taken."""
MAX_PIXELS_AT_ONCE = 2**26
"""Pixels of the samples that are worked on at a time; a larger one is worked on alone."""


def in_threads(look: Callable[[int], R], num: int) -> Iterator[R]:
    """Yield `look(0)` to `look(num - 1)` in order. Stopping leaves nothing running, Ctrl-C no more than is begun."""
    threads = min(MAX_THREADS, num_cores())
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[R]] = deque()
    waits = True
    try:
        for index in range(num):
            waiting.append(pool.submit(look, index))
            if len(waiting) >= AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except KeyboardInterrupt:
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)


@dataclass(kw_only=True)
class Scan:
    """Which samples of a split could be read, and why the others could not."""

    ids: list[int] = field(default_factory=list)
    """Positions of the readable samples."""
    faults: list[Fault] = field(default_factory=list)

    def read(self, look: Callable[[int], R], num: int, tick: Callable[[], None]) -> Iterator[R]:
        """Yield what `look` returns of each of `num` samples, but of those that cannot be read; `tick` after each."""

        def attempt(index: int) -> R | Fault:
            try:
                return look(index)
            except BrokenSample as broken:
                return broken.fault

        for index, seen in enumerate(in_threads(attempt, num)):
            if isinstance(seen, Fault):
                self.faults.append(seen)
            else:
                self.ids.append(index)
                yield seen
            tick()


class Room:
    """How many more pixels may be worked on: threads that look at large samples share it."""

    def __init__(self) -> None:
        self._left, self._freed = MAX_PIXELS_AT_ONCE, threading.Condition()

    @contextlib.contextmanager
    def taken(self, size: Sequence[int]) -> Iterator[None]:
        """Wait until there is room for a sample of this size, and hold it for the block."""
        pixels = min(math.prod(size), MAX_PIXELS_AT_ONCE)
        with self._freed:
            self._freed.wait_for(lambda: self._left >= pixels)
            self._left -= pixels
        try:
            yield
        finally:
            with self._freed:
                self._left += pixels
                self._freed.notify_all()
