"""How long training still takes, by what its steps, validations and checkpoints took so far, or in a plan."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

WINDOW = 200
"""Steps whose mean is the pace: data that are waited for come in bursts."""
SLOW = 2
"""The first steps of a process, which count for nothing: they wait for workers, and find nothing ready."""
FEWEST = 3
"""Steps that have to be measured before anything is told of the time."""
PLANNED = 10
"""As many measured steps what a plan says of one is worth: a machine may be busier now than it was then."""
FORWARD_SHARE = 1 / 3
"""What a forward pass takes of a step, until a validation was measured."""


class Durations(NamedTuple):
    """The seconds that a plan measured, or estimated, of a step, a validation and a save."""

    step_s: float
    validation_s: float
    save_s: float


class Pace:
    """The mean seconds of a step, a validation and a save.

    `validation_steps` is how many steps' worth of samples a validation has. What was `planned` counts until enough of
    each was measured here.
    """

    def __init__(self, validation_steps: float, planned: Durations | None = None) -> None:
        self._validation_steps, self._planned = validation_steps, planned
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
        self._num_steps += 1
        if self._num_steps > SLOW:
            self._steps.append(now - self._last)
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

    @property
    def longest_save_s(self) -> float:
        """The seconds of the longest of the last saves; those of a plan before the first, 0 without one."""
        return max(self._saves, default=self._planned.save_s if self._planned is not None else 0.0)

    @contextlib.contextmanager
    def _measuring(self, seconds: deque[float]) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._last = time.monotonic()
        seconds.append(self._last - begin)

    def remaining(self, steps: int, validations: int, saves: int) -> float | None:
        """Return the seconds that so many of each still take; None before that is known."""
        step_s = self._step_s(FEWEST if steps else 1)
        if step_s is None:
            return None
        planned = self._planned or Durations(step_s, step_s * self._validation_steps * FORWARD_SHARE, 0.0)
        validation_s = _mean(self._validations) if self._validations else planned.validation_s
        save_s = _mean(self._saves) if self._saves else planned.save_s
        return steps * step_s + validations * validation_s + saves * save_s

    def _step_s(self, fewest: int) -> float | None:
        """Return the mean seconds of a step, what was planned counting as some of them; None before that is known."""
        if self._planned is not None:
            return (PLANNED * self._planned.step_s + sum(self._steps)) / (PLANNED + len(self._steps))
        return _mean(self._steps) if len(self._steps) >= fewest else None


def num_due(step: int, total_steps: int, every: int) -> int:
    """Return how often something still happens that happens every so many steps, and at the end."""
    if step >= total_steps:
        return 0
    return total_steps // every - step // every + (total_steps % every != 0)


def _mean(values: deque[float]) -> float:
    return sum(values) / len(values)
