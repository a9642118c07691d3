"""Where the time of training goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Tells training time from time spent waiting for data, measuring and saving."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._lap = self._saved = time.monotonic()
        self._waited = self._paused = 0.0
        self._samples = 0

    def add(self, samples: int) -> None:
        self._samples += samples

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._waited += time.monotonic() - begin

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._paused += time.monotonic() - begin

    def lap(self) -> tuple[float, float]:
        """Return samples per second of training and the share of it spent waiting, since the last call."""
        now = time.monotonic()
        spent = max(now - self._lap - self._paused, 1e-9)
        result = self._samples / spent, self._waited / spent
        self._lap, self._waited, self._paused, self._samples = now, 0.0, 0.0, 0
        return result

    def saved(self) -> None:
        self._saved = time.monotonic()

    def since_save(self) -> float:
        return time.monotonic() - self._saved
