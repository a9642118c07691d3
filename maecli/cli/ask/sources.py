"""The files that a person names on the command line, in words that several verbs take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from maecli.data.files.sources import Sources
    from maecli.progress import Progress


def sources_argument(metavar: str = "PATH") -> Any:
    """Return the argument of one path or many."""
    return typer.Argument(
        metavar=metavar,
        help="Files that hold samples, folders, patterns ('new/**/*.jpg'), @LIST (a file with a path per line), - "
        "(the same from standard input). Several are named by their paths below the folder that holds them all.",
    )


def sources_of(paths: Sequence[str], progress: Progress) -> Sources:
    """Return what the words name."""
    from maecli.data.files.sources import find_sources

    return find_sources(paths, lambda: read_stdin(progress.say), progress.say)


def read_stdin(say: Callable[[str], None]) -> bytes:
    """Return what standard input holds; a person is told that it waits for them."""
    if sys.stdin.isatty():
        say("reading paths from standard input, one per line")
    return sys.stdin.buffer.read()
