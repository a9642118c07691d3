"""The Typer application, and what its verbs share: errors of users become one line and an exit code."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console

from maecli import __version__
from maecli.errors import DataError, MaeError

app = typer.Typer(
    name="mae",
    help="Pretrain vision transformers by masked autoencoding on your own data, fine-tune them, measure them "
    "honestly, and run them on folders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


def stderr_console(quiet: bool) -> Console:
    return Console(stderr=True, quiet=quiet)


@contextlib.contextmanager
def user_errors(as_json: bool = False) -> Iterator[None]:
    """Print a user's error as one message, without a traceback, and exit with its code."""
    try:
        yield
    except (MaeError, KeyboardInterrupt) as error:
        message, code = (str(error), error.exit_code) if isinstance(error, MaeError) else ("interrupted", 130)
        problems, untold = (error.problems, error.untold) if isinstance(error, DataError) else ((), [])
        if as_json:
            listed = [{"path": path, "rule": rule} for path, rule in problems]
            print(json.dumps({"error": message, "exit_code": code} | ({"problems": listed} if listed else {})))
        for path, rule in untold:
            print(f"{path}: {rule}", file=sys.stderr)
        print(f"mae: {message}", file=sys.stderr)
        raise typer.Exit(code) from None
