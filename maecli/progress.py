"""How a long piece of work shows that it goes on: an animated line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

from maecli.terminal import PlainConsole, text_column
from maecli.text import one_line

PLAIN_EVERY_S = 5.0


@dataclass(frozen=True)
class TrainState:
    """What there is to say of a training run at one moment."""

    step: int
    total_steps: int
    epoch: float
    loss: float
    samples_per_s: float
    wait_share: float
    remaining_s: float

    def __str__(self) -> str:
        return (
            f"step {self.step}/{self.total_steps}  epoch {self.epoch:.2f}  loss {self.loss:.4f}  "
            f"{self.samples_per_s:,.0f} images/s  waiting for data {self.wait_share:.0%}  "
            f"remaining {duration(self.remaining_s)}"
        )


@dataclass(frozen=True)
class CountState:
    """How far a pass over many things has come."""

    what: str
    done: int
    total: int
    per_s: float

    def __str__(self) -> str:
        remaining = f"  remaining {duration((self.total - self.done) / self.per_s)}" if self.per_s else ""
        return f"{self.what}: {self.done:,} of {self.total:,}  {self.per_s:,.0f}/s{remaining}"


class TrainProgress(Protocol):
    """Shows a training run, or another long piece of work."""

    def update(self, state: TrainState) -> None: ...

    def count(self, state: CountState) -> None: ...

    def say(self, text: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def duration(seconds: float) -> str:
    """Return a time span for people: 48 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Silent:
    """Shows nothing."""

    def update(self, state: TrainState) -> None: ...

    def count(self, state: CountState) -> None: ...

    def say(self, text: str) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class PlainLines(Silent):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, console: PlainConsole) -> None:
        self.console = console
        self._last = float("-inf")

    def update(self, state: TrainState) -> None:
        self._say_at_times(state, state.step == state.total_steps)

    def count(self, state: CountState) -> None:
        self._say_at_times(state, state.done == state.total)

    def _say_at_times(self, state: TrainState | CountState, last: bool) -> None:
        now = time.monotonic()
        if now - self._last >= PLAIN_EVERY_S or last:
            self._last = now
            self.say(str(state))

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)


class Animated(Silent):
    """One moving line on a terminal."""

    def __init__(self, console: PlainConsole) -> None:
        self.progress = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            text_column("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def update(self, state: TrainState) -> None:
        text = f"loss {state.loss:.4f}  {state.samples_per_s:,.0f} images/s  waiting for data {state.wait_share:.0%}"
        if self._task is None:
            self._task = self.progress.add_task(text, total=state.total_steps, completed=state.step)
        self.progress.update(self._task, completed=state.step, total=state.total_steps, description=text)

    def count(self, state: CountState) -> None:
        text = f"{one_line(state.what)}  {state.per_s:,.0f}/s"
        if self._task is None:
            self._task = self.progress.add_task(text)
        self.progress.update(self._task, completed=state.done, total=state.total, description=text)

    def say(self, text: str) -> None:
        self.progress.console.print(text, soft_wrap=True)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


class Counting:
    """Tells a progress of each of `total` things that are done, at most ten times a second."""

    def __init__(self, progress: TrainProgress, what: str, total: int) -> None:
        self.progress, self.what, self.total = progress, what, total
        self.done, self._begin, self._said = 0, time.monotonic(), float("-inf")

    def __call__(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self._said > 0.1 or self.done == self.total:
            self._said = now
            rate = self.done / max(1e-9, now - self._begin)
            self.progress.count(CountState(self.what, self.done, self.total, rate))


def train_progress(console: PlainConsole) -> TrainProgress:
    """Return what suits the console: nothing when it is quiet, lines without a terminal, else an animation."""
    if console.quiet:
        return Silent()
    return Animated(console) if console.is_terminal else PlainLines(console)
