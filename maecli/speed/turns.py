"""Forms of a model take turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from maecli.errors import MaeError
from maecli.progress import Progress

TURN_S = 0.25
"""How long a turn lasts; one step at least."""
MIN_TURNS = 3
UNSTEADY = 0.2
"""Half of the turns' medians lie this far apart, as a share of their middle, where a machine is not at rest."""
RESTLESS = 0.5
"""The same where it is so busy that short steps fit between other work, and long ones do not: ratios tell nothing."""


class Racer(Protocol):
    """What takes turns."""

    name: str

    def feed(self, batch_size: int) -> None:
        """Take the samples of the next turns, and run them until all is compiled and warm."""

    def turn(self, seconds: float) -> Sequence[float]:
        """Run for about this time, one step at least; return the seconds of each step."""


@dataclass(frozen=True)
class Timing:
    """How long steps took, at one batch size."""

    batch_size: int
    turns: Sequence[Sequence[float]]
    """Seconds of each step, by turn."""

    @property
    def steps(self) -> list[float]:
        return [seconds for turn in self.turns for seconds in turn]

    @property
    def median_s(self) -> float:
        return statistics.median(self.steps)

    @property
    def per_second(self) -> float:
        """Samples per second, at the median."""
        return self.batch_size / self.median_s

    @property
    def unsteadiness(self) -> float:
        """How far the middle half of the turns' medians lies apart, as a share of their middle."""
        low, middle, high = np.quantile([statistics.median(turn) for turn in self.turns], (0.25, 0.5, 0.75))
        return float((high - low) / middle)

    def speedup(self, first: Timing) -> tuple[float, float, float]:
        """Return how many times as fast as the first it is: the median over pairs of turns, and their middle half."""
        ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(first.turns, self.turns, strict=True)]
        low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75)).tolist()
        return middle, low, high

    def record(self, first: Timing) -> dict[str, Any]:
        """Return it as plain values, beside the first."""
        middle, low, high = self.speedup(first)
        return {
            "batch_size": self.batch_size,
            "median_ms": self.median_s * 1e3,
            "p95_ms": float(np.quantile(self.steps, 0.95)) * 1e3,
            "per_second": self.per_second,
            "speedup": middle,
            "speedup_middle_half": [low, high],
            "steps": len(self.steps),
            "turns": len(self.turns),
            "unsteadiness": self.unsteadiness,
        }


def in_turn(
    racers: Sequence[Racer],
    batch_size: int,
    seconds: float,
    fails: Callable[[Racer, MaeError], None],
    progress: Progress | None = None,
) -> dict[Racer, Timing]:
    """Return the timings of those that ran to the end, each of about `seconds`; `fails` is told of the others.

    The order turns around with each round.
    """
    progress = progress or Progress()
    turns: dict[Racer, list[Sequence[float]]] = {}

    def attempt(racer: Racer, work: Callable[[], object]) -> None:
        try:
            work()
        except MaeError as error:
            turns.pop(racer, None)
            fails(racer, error)

    def one_more(racer: Racer) -> None:
        turns[racer].append(racer.turn(TURN_S))

    for racer in racers:
        turns[racer] = []
        with progress.working(f"preparing {racer.name} for batches of {batch_size}"):  # compiling takes a minute
            attempt(racer, partial(racer.feed, batch_size))
    done = progress.count(f"rounds of turns in batches of {batch_size}", num_turns(seconds))
    with progress:
        for number in range(num_turns(seconds)):
            for racer in list(turns) if number % 2 else list(reversed(turns)):
                attempt(racer, partial(one_more, racer))
            done()
    return {racer: Timing(batch_size, made) for racer, made in turns.items()}


def unrest(timings: Iterable[Timing], load: str = "") -> str:
    """Return a sentence where the machine was not at rest, with what is known of its `load`; else nothing."""
    worst = max(timing.unsteadiness for timing in timings)
    if worst <= UNSTEADY:
        return ""
    rely = "rely on the ratios, which are of turns side by side, rather than on the times"
    if worst > RESTLESS:
        rely = "neither times nor ratios can be relied on, so measure again when nothing else runs"
    return f"this machine was not at rest{load}: the middle half of the turns lies up to {worst:.0%} apart; {rely}"


def num_turns(seconds: float) -> int:
    """Return how many turns take about `seconds`."""
    return max(MIN_TURNS, round(seconds / TURN_S))
