"""How long training still takes, by what its steps, validations and checkpoints took so far."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator

WINDOW = 200
"""Steps whose mean is the pace: data that are waited for come in bursts."""
ENOUGH = 5, 2.0
"""Steps, or the seconds that they took together, from which on the pace is told: the first few are no measure."""
FORWARD_SHARE = 1 / 3
"""What a forward pass takes of a step, until a validation was measured."""


class Pace:
    """The mean seconds of a step, a validation and a save. The first step is left out as soon as there is another.

    `validation_steps` is how many steps' worth of samples a validation has.
    """

    def __init__(self, validation_steps: float) -> None:
        self._validation_steps = validation_steps
        self._steps: deque[float] = deque(maxlen=WINDOW)
        self._num_steps = 0
        self._validations: deque[float] = deque(maxlen=3)
        self._saves: deque[float] = deque(maxlen=5)
        self._last = time.monotonic()

    def start(self) -> None:
        """Begin to measure the next step."""
        self._last = time.monotonic()

    def stepped(self) -> None:
        """Note the end of a step that began when the last one, or what followed it, ended."""
        now = time.monotonic()
        if self._num_steps == 1:
            self._steps.clear()  # the first one waits for workers, and finds nothing ready
        self._steps.append(now - self._last)
        self._num_steps += 1
        self._last = now

    @contextlib.contextmanager
    def validating(self) -> Iterator[None]:
        """Measure a validation."""
        with self._measuring(self._validations):
            yield

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Measure a save."""
        with self._measuring(self._saves):
            yield

    @contextlib.contextmanager
    def _measuring(self, seconds: deque[float]) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._last = time.monotonic()
        seconds.append(self._last - begin)

    def remaining(self, steps: int, validations: int, saves: int) -> float | None:
        """Return the seconds that so many of each still take; None while too few steps were done to tell."""
        if not self._steps or (steps and self._num_steps < ENOUGH[0] and sum(self._steps) < ENOUGH[1]):
            return None
        step_s = _mean(self._steps)
        guess = step_s * self._validation_steps * FORWARD_SHARE
        validation_s = _mean(self._validations) if self._validations else guess
        return steps * step_s + validations * validation_s + saves * (_mean(self._saves) if self._saves else 0.0)


def num_due(step: int, total_steps: int, every: int) -> int:
    """Return how often something still happens that happens every so many steps, and at the end."""
    if step >= total_steps:
        return 0
    return total_steps // every - step // every + (total_steps % every != 0)


def _mean(values: deque[float]) -> float:
    return sum(values) / len(values)
