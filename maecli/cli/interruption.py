"""Ctrl-C: every command ends by a line and 130, soon, whatever it is at. Imports nothing that takes time."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import time
from types import FrameType

INTERRUPTED = 130
"""Exit code, as of programs that SIGINT ends."""
GRACE_S = 1.5
"""How long an interrupted command may take to put away what it has begun; the next one does what is left of that."""
SHOW_CURSOR = "\x1b[?25h"


def note_interruptions() -> list[int]:
    """Return a list to which each SIGINT is added from now on, before it is raised as ever.

    Where it is not raised soon, as in a long computation of a library, the process ends nevertheless.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    def watch(signals: int) -> None:
        while number := os.read(signals, 1):
            if number[0] != signal.SIGINT:
                continue
            time.sleep(GRACE_S)
            seen_to = _terminal("interruption_seen_to") or signal.getsignal(signal.SIGINT) is not note
            if noted or not seen_to:
                _cut_off()

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever called wants it ignored
        signal.signal(signal.SIGINT, note)
        if (signals := _signals()) is not None:
            _thread.start_new_thread(watch, (signals,))
    return noted


def _signals() -> int | None:
    """Return a file of the numbers of signals, which can be read as they come, whatever the main thread is at."""
    if os.name != "posix":
        return None
    read, write = os.pipe()
    if min(read, write) <= 2:  # whoever called closed a stream, whose number others may write to
        os.close(read)
        os.close(write)
        return None
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def interrupted() -> int:
    """Tell that the command was interrupted, unless that was done, and return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the next ones nobody needs to be told
    if not _terminal("interruption_told"):
        print("mae: interrupted; nothing was written", file=sys.stderr)
    return INTERRUPTED


def _terminal(fact: str) -> bool:
    """Return what is noted of an interruption, False before anything can be."""
    return bool(getattr(sys.modules.get("maecli.terminal"), fact, False))


def _cut_off() -> None:
    """Tell of an interruption, if that was not done, and end the process whatever it is at."""
    shown = SHOW_CURSOR if sys.stderr is not None and sys.stderr.isatty() else ""
    line = "" if _terminal("interruption_told") else "mae: interrupted; what was saved before is kept\n"
    with contextlib.suppress(OSError):
        os.write(2, f"{shown}{line}".encode())
    leave()


def leave() -> None:
    """End the process at once."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(INTERRUPTED)
