"""The command line: parse, hand over, print. Imports neither torch nor any plugin before a verb runs.

`app` is there once it is asked for, so that `main` is in charge before anything takes time.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from maecli.cli.interruption import INTERRUPTED, interrupted, leave, note_interruptions

if TYPE_CHECKING:
    from maecli.cli.verbs import app

__all__ = ["app", "main"]

NOBODY_READS = 141
"""Exit code, as of programs that SIGPIPE ends."""
SHARED = frozenset({"pretrain", "finetune", "eval", "infer", "embed", "demo", "sweep"})
"""Verbs whose work several processes share: they train or read a model's batches."""
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
    interruptions = note_interruptions()
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = interrupted()
    except BrokenPipeError:
        code = NOBODY_READS
    except Exception as error:
        from maecli.errors import CannotPrint

        if isinstance(error, CannotPrint):
            print(f"mae: {error}", file=sys.stderr)
            code = NOWHERE_TO_WRITE
        elif interruptions:
            code = interrupted()  # libraries that are being imported make other errors of it
        else:
            raise
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while Python ends, nothing catches Ctrl-C
    if code in (NOBODY_READS, NOWHERE_TO_WRITE):  # what is left of the answer would be written as Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code == INTERRUPTED:  # nobody waits for threads and libraries to end, which takes seconds
        leave()
    sys.exit(code)


def _run() -> int | str | None:
    if sys.stdout is None:  # closed by whoever called
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from maecli.parallel.environment import end_with_launcher, num_processes

    if num_processes() > 1:
        if SHARED.isdisjoint(sys.argv[1:2]):  # nobody has to come for what the first does alone
            return _command() if os.environ["RANK"] == "0" else 0
        end_with_launcher()
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns of what it was told to look for
        from maecli.parallel.lead import lead_or_obey

        return lead_or_obey(_command)
    return _command()


def _command() -> int | str | None:
    from maecli.cli.verbs import app
    from maecli.terminal import see_to_streams

    see_to_streams()
    try:
        app()
    except SystemExit as end:
        return end.code
    return 0


def _tell_unraisable(unraisable: Any) -> None:
    """Say nothing of a Ctrl-C, or a closed pipe, that came where it could not be raised."""
    if not isinstance(unraisable.exc_value, (KeyboardInterrupt, BrokenPipeError)):
        sys.__unraisablehook__(unraisable)
