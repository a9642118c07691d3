"""Many samples at once, in threads: decoders release the interpreter while they work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from maecli.hardware import num_cores

R = TypeVar("R")

MAX_THREADS = 16
AHEAD = 16
"""Samples that are started per thread before the first of them is taken."""


def in_threads(look: Callable[[int], R], num: int) -> Iterator[R]:
    """Yield `look(0)` to `look(num - 1)` in order. Stopping, or an interruption, leaves nothing running."""
    threads = min(MAX_THREADS, num_cores())
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[R]] = deque()
    try:
        for index in range(num):
            waiting.append(pool.submit(look, index))
            if len(waiting) >= AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
