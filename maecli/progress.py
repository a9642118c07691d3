"""How a long piece of work shows that it goes on: an animated line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

import rich.progress
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn

from maecli.terminal import PlainConsole
from maecli.text import one_line

PLAIN_EVERY_S = 5.0
COUNT_EVERY_S = 0.1


class Progress:
    """Tells of a long piece of work on a console: one moving line on a terminal, else a line every few seconds.

    Nothing is shown on a quiet console, or without one.
    """

    def __init__(self, console: PlainConsole | None = None) -> None:
        self.console = console
        self.bar: rich.progress.Progress | None = None
        if console is not None and console.is_terminal and not console.quiet:
            self.bar = rich.progress.Progress(
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.description}", markup=False),  # as it is
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
        self._task: TaskID | None = None
        self._last_line = float("-inf")

    def say(self, text: str) -> None:
        """Show a line that stays."""
        if self.console is not None:
            self.console.print(text, soft_wrap=True)

    def update(self, done: int, total: int, text: str, line: str) -> None:
        """Show how far the work has come: `text` beside the moving bar, or the whole `line` where there is none."""
        if self.bar is not None:
            if self._task is None:
                self._task = self.bar.add_task(text)
            self.bar.update(self._task, completed=done, total=total, description=text)
            return
        now = time.monotonic()
        if now - self._last_line >= PLAIN_EVERY_S or done == total:
            self._last_line = now
            self.say(line)

    def count(self, what: str, total: int) -> Callable[[], None]:
        """Return what is to be called after each of `total` things, to show how many are done."""
        begin = time.monotonic()
        done, shown = 0, float("-inf")

        def one_more() -> None:
            nonlocal done, shown
            done += 1
            now = time.monotonic()
            if now - shown > COUNT_EVERY_S or done == total:
                shown = now
                rate = done / max(1e-9, now - begin)
                line = f"{what}: {done:,} of {total:,}  {rate:,.0f}/s  remaining {duration((total - done) / rate)}"
                self.update(done, total, f"{one_line(what)}  {rate:,.0f}/s", line)

        return one_more

    def __enter__(self) -> Self:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()


def duration(seconds: float) -> str:
    """Return a time span for people: 48 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
