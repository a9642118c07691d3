"""The Typer application, and what its verbs share: errors of users become one line and an exit code."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from maecli import __version__, terminal
from maecli.cli import NOBODY_READS
from maecli.cli.interruption import INTERRUPTED
from maecli.errors import DataError, MachineError, MaeError
from maecli.memory import out_of_memory
from maecli.progress import Progress
from maecli.terminal import PlainConsole, complain, tell
from maecli.text import one_line

NOTHING_WRITTEN = "interrupted; nothing was written"
"""What is the case where Ctrl-C ends a verb that says nothing else by raising `Interrupted`."""


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
        tell(NOTHING_WRITTEN)
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
    epilog="Example: mae demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(flag: bool) -> None:
    if flag:
        print(f"mae {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before a verb."""


def stderr_progress(quiet: bool) -> Progress:
    return Progress(PlainConsole(stderr=True, quiet=quiet))


_stdout: ContextVar[TextIO | None] = ContextVar("stdout", default=None)
"""Where the one object of `--json` goes, while what plugins print goes to stderr."""


@contextlib.contextmanager
def user_errors(as_json: bool = False) -> Iterator[None]:
    """Print a user's error as one message, without a traceback, and exit with its code.

    `as_json`: what is printed goes to stderr, but for the one object that `print_json` is given, or that of the error.
    """
    if as_json:
        _stdout.set(sys.stdout)
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        try:
            yield
        except KeyboardInterrupt:
            _give_up(NOTHING_WRITTEN, INTERRUPTED, as_json)
        except Exception as error:
            ours = error if isinstance(error, MaeError) else out_of_memory(error) or MachineError.of(error)
            if ours is None:
                raise
            _give_up(str(ours), ours.exit_code, as_json, ours if isinstance(ours, DataError) else None)


@contextlib.contextmanager
def silence(quiet: bool) -> Iterator[None]:
    """Print nothing on stdout with `--quiet`: what a verb made is in its files."""
    if not quiet:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        yield


def tells_errors(verb: Callable[..., None]) -> Callable[..., None]:
    """Let a verb end by `user_errors`, as JSON where its `--json` asks for that."""

    @functools.wraps(verb)
    def run(*arguments: Any, **options: Any) -> None:
        as_json, terminal.quiet = options.get("as_json", False), options.get("quiet", False)
        with user_errors(as_json), silence(terminal.quiet and not as_json):
            verb(*arguments, **options)

    return run


def _give_up(message: str, code: int, as_json: bool, data: DataError | None = None) -> None:
    """Tell the message, and before it the faults that it does not name, and leave with the code."""
    if as_json:
        listed = [asdict(fault) for fault in data.faults] if data else []
        print_json({"error": message, "exit_code": code} | ({"faults": listed} if listed else {}))
    for fault in data.unnamed_faults if data else []:
        complain(str(fault))
    tell(message)
    terminal.interruption_told |= code == INTERRUPTED
    raise typer.Exit(code) from None


def print_json(answer: Mapping[str, Any]) -> None:
    """Print the object that `--json` promises, last of all."""
    print(json.dumps(answer), file=_stdout.get())
