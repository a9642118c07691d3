"""Markdown in which texts of others, such as names of classes, stay texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from maecli.text import one_line

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;", "$": "&#36;"}
_INSIDE = _ENTITIES | {mark: f"\\{mark}" for mark in "`*_[]~|"}
_FIRST = re.compile(r"[-+#=]|\d+[.)](?=\s|$)")
"""What makes a heading, a list or a line of the beginning of a text."""


def plain(text: object) -> str:
    """Return a text as one line that is shown as it is, whatever marks are in it."""
    line = one_line(" ".join(str(text).split()))
    first = _FIRST.match(line)
    shown = "".join(_INSIDE.get(letter, letter) for letter in line)
    return f"{first[0][:-1]}\\{first[0][-1]}{shown[len(first[0]) :]}" if first else shown


def points(texts: Iterable[str]) -> str:
    """Return a list of texts that are Markdown already."""
    return "\n".join(f"- {text}" for text in texts)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already, each of one line."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, ["---"] * len(columns), *rows))


def block(text: str, language: str) -> str:
    """Return a block of code, in a fence that is longer than any in it."""
    longest = max((len(fence) for fence in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
