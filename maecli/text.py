"""Text of others: as a terminal may show it, and as much of it as a sentence may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Control characters of ASCII and Latin-1, what breaks lines or turns the direction of text, and half characters.

Tabs and line breaks stay: they are ours, see `one_line` for text that is not.
"""


def printable(text: str) -> str:
    r"""Return text in which whatever steers a terminal is an escape such as \x1b; line breaks and tabs stay."""
    return _UNPRINTABLE.sub(_escape, text)


def one_line(text: object) -> str:
    r"""Return a name or value as `printable` text without line breaks: they are \n."""
    return printable(str(text).replace("\n", "\\n").replace("\t", "\\t"))


def brief(value: object, letters: int = 120) -> str:
    """Return the `repr` of a value, its middle left out where it is long."""
    return shortened(repr(value), letters)


def shortened(text: str, letters: int = 120) -> str:
    """Return a text, its middle left out where it is long."""
    if len(text) <= letters:
        return text
    half = letters // 2 - 1
    return f"{text[:half]} … {text[-half:]}"


def some(names: Iterable[object], most: int = 3) -> str:
    """Name the first few of many."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
