"""The signals that end training before its last step: those of a person or a scheduler, and one when a time is up."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import TypeVar

from maecli.loading.workers import SIGNALS
from maecli.terminal import see_to_interruption

if sys.platform == "win32":
    ALARM = -1  # no such signal: there a time is looked at between steps only
else:
    ALARM = int(signal.SIGALRM)

T = TypeVar("T")

OF_SCHEDULERS = tuple(number for number in SIGNALS if number != signal.SIGINT)
"""The signals that end a run but for Ctrl-C, which Python raises by itself."""
TOLD_S = 1.0
"""How long the end of training waits for what a signal had to say."""


class Stopped(BaseException):
    """A signal asked to stop while something was waited for, or done, that can be made up for."""


class Stop:
    """Whether a run is to stop, as a person, a scheduler or the end of its time asks."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first that came, or ALARM."""
        self.until = math.inf
        """When the run is to have stopped and saved, by `time.monotonic()`."""
        self._at_once = False

    @property
    def asked(self) -> bool:
        return self.signal is not None

    def at_once(self, do: Callable[[], T]) -> T:
        """Return what `do` returns, which may be waited for for ever: a signal, one that came before too, ends it.

        It raises Stopped within this very call, which a context manager could not promise of its block.
        """
        self._at_once = True
        try:
            if self.asked:
                raise Stopped
            return do()
        finally:
            self._at_once = False

    @contextlib.contextmanager
    def listen(self, say: Callable[[str], None], until: float) -> Iterator[None]:
        """Note the first signal that ends a run, or the instant `until`, for a run that saves then; say so at once."""

        def heard(number: int) -> None:
            self.signal = number
            again = "; press Ctrl-C again to stop without saving" if number == signal.SIGINT else ""
            telling.append(told_aside(say, f"saving, then stopping{again}"))
            if self._at_once:
                raise Stopped

        telling: list[threading.Thread] = []
        try:
            with listening(heard, until):
                yield
        finally:
            for thread in telling:
                if thread.is_alive():
                    thread.join(TOLD_S)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note the first signal that ends a run, or the end of the time, for who looks; `at_once` one is raised."""

        def heard(number: int) -> None:
            self.signal = number
            if self._at_once:
                raise Stopped

        with listening(heard, self.until):
            yield

    @contextlib.contextmanager
    def of_scheduler(self) -> Iterator[None]:
        """Let a signal other than Ctrl-C, and the end of the time, raise Stopped in here."""

        def stop(number: int) -> None:
            self.signal = number
            raise Stopped

        with listening(stop, self.until, OF_SCHEDULERS):
            yield


@contextlib.contextmanager
def listening(
    heard: Callable[[int], None], until: float = math.inf, numbers: Collection[int] = SIGNALS
) -> Iterator[None]:
    """Call `heard` with the first signal of these, or ALARM at an instant of `time.monotonic()`; the next acts as ever.

    Does nothing outside of the main thread, which alone hears signals, nor in processes that are forked in here. The
    alarm of the process is another's where `until` is never. SIGHUP stays ignored where it is, as by nohup.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    timed = until < math.inf and ALARM > 0
    timer = signal.getitimer(signal.ITIMER_REAL) if timed else (0.0, 0.0)
    found = {number: signal.getsignal(number) for number in (*numbers, *([ALARM] if timed else []))}
    hang_up = getattr(signal, "SIGHUP", None)
    before = {number: how for number, how in found.items() if number != hang_up or how != signal.SIG_IGN}
    here = os.getpid()

    def restore() -> None:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, *timer)
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        if os.getpid() != here:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        see_to_interruption()
        restore()
        heard(number)

    for number in before:
        signal.signal(number, note)
    try:
        set_alarm(until)
        yield
    finally:
        restore()


def set_alarm(until: float) -> None:
    """Have ALARM come, while it is listened for, at an instant of `time.monotonic()`: at once where that is over."""
    if until < math.inf and ALARM > 0 and threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, max(until - time.monotonic(), 1e-6))


def told_aside(say: Callable[[str], None], line: str) -> threading.Thread:
    """Let another thread say a line, and return it: what a signal interrupts may hold the locks that saying needs."""
    thread = threading.Thread(target=say, args=(line,), daemon=True)
    with contextlib.suppress(RuntimeError):  # no more threads are allowed
        thread.start()
    return thread
