"""The command line: parse, hand over, print. Imports neither torch nor any plugin before a verb runs.

`app` is there once it is asked for, so that `main` is in charge before anything takes time.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import os
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maecli.cli.verbs import app

__all__ = ["app", "main"]

INTERRUPTED, NOBODY_READS = 130, 141
"""Exit codes, as of programs that SIGINT or SIGPIPE ends."""
GRACE_S = 1.5
"""How long an interrupted command may take to put away what it has begun; the next one does what is left of that."""
SHOW_CURSOR = "\x1b[?25h"
NOWHERE_TO_WRITE = 1
"""Exit code where the answer cannot be written, as on a full disk."""


def __getattr__(name: str) -> Any:
    if name == "app":
        from maecli.cli.verbs import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command line, and leave with its exit code.

    Ctrl-C ends it by a line and 130 at whatever moment, and soon, whatever it is at; where nobody reads what it prints,
    as in `mae runs | head`, it ends in silence with 141.
    """
    sys.unraisablehook = _tell_unraisable
    interruptions = _note_interruptions()
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _interrupted()
    except BrokenPipeError:
        code = NOBODY_READS
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"mae: cannot print the answer: {error.strerror}", file=sys.stderr)
        code = NOWHERE_TO_WRITE
    except Exception:
        if not interruptions:
            raise
        code = _interrupted()  # libraries that are being imported make other errors of it
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while Python ends, nothing catches Ctrl-C
    if code in (NOBODY_READS, NOWHERE_TO_WRITE):  # what is left of the answer would be written as Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code == INTERRUPTED:  # nobody waits for threads and libraries to end, which takes seconds
        _leave()
    sys.exit(code)


def _note_interruptions() -> list[int]:
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


def _interrupted() -> int:
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
    _leave()


def _leave() -> None:
    """End the process at once."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(INTERRUPTED)


def _run() -> int | str | None:
    if sys.stdout is None:  # closed by whoever called
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from maecli.cli.verbs import app

    try:
        app()
    except SystemExit as end:
        return end.code
    return 0


def _tell_unraisable(unraisable: Any) -> None:
    """Say nothing of a Ctrl-C, or a closed pipe, that came where it could not be raised."""
    if not isinstance(unraisable.exc_value, (KeyboardInterrupt, BrokenPipeError)):
        sys.__unraisablehook__(unraisable)
