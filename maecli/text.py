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


def capitalised(text: str) -> str:
    """Return a text as a sentence begins; a name that is written in its own way, such as mIoU, stays."""
    return text if text[1:2].isupper() else f"{text[:1].upper()}{text[1:]}"


def number_of(num: int, one: str, many: str = "") -> str:
    """Return a number of things: 1 file, 2,000 files; `many` where that is not `one` with an s."""
    return f"{num:,} {one if num == 1 else many or f'{one}s'}"


def bytes_in_words(num: int) -> str:
    """Return a number of bytes for people, in units of a thousand: 512 bytes, 5.4 GB."""
    if num < 1000:
        return number_of(num, "byte")
    size = float(num)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            return f"{size:,.1f} {unit}"
    raise AssertionError


def some(names: Iterable[object], most: int = 3) -> str:
    """Name the first few of many."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
