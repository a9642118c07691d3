"""The Typer application, and what its verbs share: errors of users become one line and an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from maecli import __version__, terminal
from maecli.cli import INTERRUPTED, NOBODY_READS
from maecli.errors import DataError, MachineError, MaeError
from maecli.memory import out_of_memory
from maecli.terminal import PlainConsole, complain, tell
from maecli.text import one_line


class Verbs(TyperGroup):
    """The verbs; what a person typed wrong is quoted as a terminal may show it, and Ctrl-C is no failure of theirs."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse what stands before the verb."""
        with _plain_complaints():
            return super().make_context(*args, **extra)

    def invoke(self, context: Any) -> Any:
        """Parse the options of a verb, and run it."""
        with _plain_complaints():
            return super().invoke(context)


@contextlib.contextmanager
def _plain_complaints() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        tell("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise typer.Exit(NOBODY_READS) from None
    except Exception as error:
        if isinstance(getattr(error, "message", None), str) and hasattr(error, "format_message"):
            error.message = one_line(error.message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    name="mae",
    cls=Verbs,
    help="Pretrain vision transformers by masked autoencoding on your own data, fine-tune them, measure them "
    "honestly, and run them on folders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_STDOUT, _STDERR = 1, 2
"""File descriptors, which programs that a plugin starts write to."""
_answer: ContextVar[str] = ContextVar("answer", default="")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mae {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before a verb."""


def stderr_console(quiet: bool) -> PlainConsole:
    return PlainConsole(stderr=True, quiet=quiet)


@contextlib.contextmanager
def user_errors(as_json: bool = False) -> Iterator[None]:
    """Print a user's error as one message, without a traceback, and exit with its code.

    `as_json`: one object is printed, that of the error or else what `print_json` was given, and nothing beside it.
    """
    with _one_object() if as_json else contextlib.nullcontext():
        try:
            yield
        except (MaeError, KeyboardInterrupt) as error:
            message, code = ("interrupted", INTERRUPTED) if isinstance(error, KeyboardInterrupt) else _told(error)
            _give_up(message, code, error, as_json)
        except Exception as error:
            found = out_of_memory(error) or MachineError.of(error)
            if found is None:
                raise
            _give_up(*_told(found), found, as_json)


def _told(error: MaeError) -> tuple[str, int]:
    return str(error), error.exit_code


def _give_up(message: str, code: int, error: BaseException, as_json: bool) -> None:
    """Tell the message and leave with the code."""
    faults, others = (error.faults, error.unnamed_faults) if isinstance(error, DataError) else ((), [])
    if as_json:
        listed = [asdict(fault) for fault in faults]
        print_json({"error": message, "exit_code": code} | ({"faults": listed} if listed else {}))
    for fault in others:
        complain(str(fault))
    tell(message)
    if isinstance(error, KeyboardInterrupt):
        terminal.interruption_told = True
    raise typer.Exit(code) from None


def print_json(answer: Mapping[str, Any]) -> None:
    """Give the object that `--json` promises; it is printed when the block of `user_errors(as_json)` ends."""
    _answer.set(json.dumps(answer))


@contextlib.contextmanager
def _one_object() -> Iterator[None]:
    """Print the object of `print_json` after the block; what plugins, or processes of theirs, print goes to stderr."""
    _answer.set("")
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(_STDOUT)
    try:
        os.dup2(_STDERR, _STDOUT)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        stdout.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)
        if answer := _answer.get():
            print(answer)
