"""What is shown on a terminal: text as it is, without markup, and nothing of others that steers the terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console
from rich.text import Text

from maecli.errors import CannotPrint
from maecli.text import one_line, printable, shortened

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment


_LONG_WORD = re.compile(r"\S{1000,}")
_SHOWN = 200  # letters of it
UNBROKEN = 10_000
"""Columns where no terminal has a width: rows of a table stay on one line."""


class PlainConsole(Console):
    """A console that shows [red] and :smile: as they are, and control characters as escapes.

    When nobody reads stderr any more it is quiet from then on: the work is worth more than the words about it.
    """

    def __init__(self, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = UNBROKEN  # a line of a pipe or file is as long as it is

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return text as it is measured and shown."""
        return super().render_str(printable(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is written, whichever way the text came in; colours are added later."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def on_broken_pipe(self) -> None:
        """Be quiet on stderr; end the command where its answer is not wanted."""
        self.quiet = True
        if not self.stderr:
            raise BrokenPipeError


class Stream:
    """A standard stream that does with an error of its own as `fails` says; a pipe that nobody reads raises as ever."""

    def __init__(self, stream: TextIO, fails: Callable[[OSError], None]) -> None:
        self._stream, self._fails = stream, fails

    def write(self, text: str) -> int:
        """Write text and return its length."""
        self._do(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._do(self._stream.flush)

    def _do(self, do: Callable[[], object]) -> None:
        try:
            do()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._fails(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def see_to_streams() -> None:
    """Let words that cannot be written, as a terminal is gone, end nothing, and answers that cannot, in a sentence."""

    def cannot_print(error: OSError) -> None:
        raise CannotPrint(f"cannot print the answer: {(error.strerror or str(error)).lower()}") from error

    sys.stdout = cast(TextIO, Stream(sys.stdout, cannot_print))
    sys.stderr = cast(TextIO, Stream(sys.stderr, lambda _: None))


def answer(*lines: str) -> None:
    """Print lines of an answer on stdout, whatever names they hold."""
    for line in lines:
        print(one_line(line))


quiet = False
"""Whether `--quiet` was given: what libraries show of their own accord is left out."""


interruption_told = False
"""Whether a person was told that Ctrl-C ends the process: it need not be said again."""


interruption_seen_to = False
"""Whether Ctrl-C was heard by who saves before the process ends, which may take time."""


def see_to_interruption() -> None:
    """Let the process end by itself, after saving."""
    global interruption_seen_to
    interruption_seen_to = True


def tell(line: str) -> None:
    """Print a line of mae's own on stderr."""
    complain(f"mae: {_LONG_WORD.sub(lambda word: shortened(word[0], _SHOWN), line)}")


def complain(line: str) -> None:
    """Print one line on stderr, whatever names it holds."""
    print(one_line(line), file=sys.stderr)
