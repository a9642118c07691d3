"""How a long piece of work shows that it goes on: an animated line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

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


class TrainProgress(Protocol):
    """Shows a training run."""

    def update(self, state: TrainState) -> None: ...

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

    def say(self, text: str) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class PlainLines(Silent):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last = float("-inf")

    def update(self, state: TrainState) -> None:
        now = time.monotonic()
        if now - self._last >= PLAIN_EVERY_S or state.step == state.total_steps:
            self._last = now
            self.say(str(state))

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class Animated(Silent):
    """One moving line on a terminal."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def update(self, state: TrainState) -> None:
        text = f"loss {state.loss:.4f}  {state.samples_per_s:,.0f} images/s  waiting for data {state.wait_share:.0%}"
        if self._task is None:
            self._task = self.progress.add_task(text, total=state.total_steps, completed=state.step)
        self.progress.update(self._task, completed=state.step, description=text)

    def say(self, text: str) -> None:
        self.progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def train_progress(console: Console) -> TrainProgress:
    """Return what suits the console: nothing when it is quiet, lines without a terminal, else an animation."""
    if console.quiet:
        return Silent()
    return Animated(console) if console.is_terminal else PlainLines(console)
