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
AGAIN_S = 0.05
"""After how long an interruption that came amid an import is tried again."""
IMPORTING = "<frozen importlib._bootstrap"
"""Where Python's own code of imports lies, as frames name it."""
SHOW_CURSOR = "\x1b[?25h"


def note_interruptions() -> list[int]:
    """Return a list to which each SIGINT is added from now on, before it is raised as ever.

    Where it is not raised soon, as in a long computation of a library, the process ends nevertheless. It is not raised
    amid an import, as compiled modules that call Python as they begin abort the process by it: where the command line
    itself imports, and so nothing has begun, the process ends at once, and else the import is waited for. It is raised
    once: the next one would come amid the putting away, which ends soon anyhow.
    """
    noted: list[int] = []
    waiting: list[int] = []
    raised: list[int] = []
    signals: int | None = None

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        importer = _importer(frame)
        if importer.startswith("maecli.cli"):
            _cut_off("nothing was written")
        elif importer and signals is not None:
            waiting.append(number)
        elif not raised or signals is None:
            raised.append(number)
            signal.default_int_handler(number, frame)

    def watch(signals: int) -> None:
        while number := os.read(signals, 1):
            if number[0] != signal.SIGINT:
                continue
            until = time.monotonic() + GRACE_S
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(AGAIN_S, left))
                if waiting:
                    waiting.clear()
                    _thread.interrupt_main()
            seen_to = _terminal("interruption_seen_to") or signal.getsignal(signal.SIGINT) is not note
            if noted or not seen_to:
                _cut_off()

    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):  # else it is to be ignored
        signal.signal(signal.SIGINT, note)
        if (signals := _signals()) is not None:
            _thread.start_new_thread(watch, (signals,))
    return noted


def _importer(frame: FrameType | None) -> str:
    """Return which module began to import what is being imported where the main thread is; nothing where none did."""
    importer, amid = "", False
    while frame is not None:
        imports = frame.f_code.co_filename.startswith(IMPORTING)
        if amid and not imports:
            importer = str(frame.f_globals.get("__name__", ""))
        amid, frame = imports, frame.f_back
    return importer


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


def _cut_off(written: str = "what was saved before is kept") -> None:
    """Tell of an interruption, if that was not done, and end the process whatever it is at."""
    shown = SHOW_CURSOR if sys.stderr is not None and sys.stderr.isatty() else ""
    line = "" if _terminal("interruption_told") else f"mae: interrupted; {written}\n"
    with contextlib.suppress(OSError):
        os.write(2, f"{shown}{line}".encode())
    leave()


def leave() -> None:
    """End the process at once."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(INTERRUPTED)
