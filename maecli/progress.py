"""How a long piece of work shows that it goes on: an animated line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Protocol, Self

import rich.progress
from rich.progress import BarColumn
from rich.text import Text

from maecli.terminal import PlainConsole
from maecli.text import one_line, shortened

PLAIN_EVERY_S = 5.0
COUNT_EVERY_S = 0.1
BAR_WIDTH = 20
BETWEEN = "  "


class Parts(rich.progress.ProgressColumn):
    """The parts of a line, in their order of weight: of those that do not fit beside the bar the last are left out."""

    max_refresh = None

    def __init__(self, console: PlainConsole) -> None:
        super().__init__()
        self.console = console

    def render(self, task: rich.progress.Task) -> Text:
        """Return as many of the parts as there is room for, at least the first."""
        room = max(20, self.console.width - BAR_WIDTH - 2)
        first, *others = task.fields["parts"] or ("",)
        line = shortened(one_line(first), room)
        for part in others:
            if len(line) + len(BETWEEN) + len(part) <= room:
                line += BETWEEN + part
        return Text(line, no_wrap=True)


class Count(Protocol):
    """Is told how many more things are done."""

    def __call__(self, num: int = 1) -> None: ...


class Progress:
    """Tells of a long piece of work on a console: one moving line on a terminal, else a line every few seconds.

    Nothing is shown on a quiet console, or without one. The line of a phase is gone before that of the next begins.
    """

    def __init__(self, console: PlainConsole | None = None) -> None:
        self.console = console
        self.bar: rich.progress.Progress | None = None
        if console is not None and console.is_terminal and not console.quiet:
            columns = BarColumn(bar_width=BAR_WIDTH), Parts(console)
            self.bar = rich.progress.Progress(*columns, console=console, transient=True)
        self._task: rich.progress.TaskID | None = None
        self._phase = ""
        self._last_line = float("-inf")

    def say(self, text: str) -> None:
        """Show a line that stays."""
        if self.console is not None:
            self.console.print(text, soft_wrap=True)

    def update(self, done: int, total: int, parts: Sequence[str], line: str, phase: str = "") -> None:
        """Show how far a phase has come: `parts` beside the moving bar, or the whole `line` where there is none."""
        if self.bar is not None:
            if self._task is None or phase != self._phase:
                self._end_phase()
                self._task, self._phase = self.bar.add_task("", total=total, parts=parts), phase
            self.bar.update(self._task, completed=done, total=total, parts=parts)
            return
        now = time.monotonic()
        if now - self._last_line >= PLAIN_EVERY_S or done == total:
            self._last_line = now
            self.say(line)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show on a terminal that something goes on of which nobody knows how long it takes."""
        with self:
            if self.bar is not None:
                self._task, self._phase = self.bar.add_task("", total=None, parts=(what,)), what
            yield

    def _end_phase(self) -> None:
        if self.bar is not None and self._task is not None:
            self.bar.remove_task(self._task)
        self._task = None

    def count(self, what: str, total: int) -> Count:
        """Return what is to be called after each of `total` things, or after several, to show how many are done."""
        begin = time.monotonic()
        done, shown = 0, float("-inf")
        if self.bar is not None:
            self.update(0, total, (what, f"0 of {total:,}"), "", phase=what)

        def more(num: int = 1) -> None:
            nonlocal done, shown
            done += num
            now = time.monotonic()
            if now - shown > COUNT_EVERY_S or done == total:
                shown = now
                rate = done / max(1e-9, now - begin)
                left, speed = f"{duration((total - done) / rate)} left", f"{rate:,.0f}/s"
                counted = f"{done:,} of {total:,}"
                line = f"{what}: {counted}  {speed}  {left}"
                self.update(done, total, (what, counted, left, speed), line, phase=what)

        return more

    def __enter__(self) -> Self:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_phase()
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
