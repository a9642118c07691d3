"""CSV: the lines of every table that mae writes, which no spreadsheet runs as formulas."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BLANK = r"[\s\x00-\x20\x7f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]"
_FORMULA = re.compile(rf"[\t\r\n]|{_BLANK}*[=+\-@＝＋－＠]")
"""What a formula begins with: OWASP, "CSV Injection", and the same behind blanks that a spreadsheet drops."""
_PART = re.compile(r"(?<=[;\t\r\n])")
"""Where a new cell begins for a spreadsheet that takes another character than the comma between cells."""
_NUMBER = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)"
_HARMLESS = re.compile(rf"[=+\-@]?|{_NUMBER}(?: {_NUMBER})*")
"""A lone sign, as of classes called + and -, and text that is a number, or several with blanks between."""
_PLAIN = re.compile(r"\w[\w./ -]*", re.ASCII)
"""What most cells are: no formula and no escape can begin in it."""
_QUOTED = re.compile(r'[,"\r\n]|^\s|\s$')


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV, with its line break.

    Text that begins like a formula gets an apostrophe in front, which spreadsheets take for "this is text"; numbers
    stay as they are. NUL and what UTF-8 cannot hold are written as escapes.
    """
    return ",".join(_cell(cell) for cell in cells) + "\n"


def _cell(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, (int, float)):
        return str(cell)
    text = cell_text(str(cell))
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def cell_text(text: str) -> str:
    """Return what a reader of the table gets for a text: the text itself, unless it begins like a formula."""
    if _PLAIN.fullmatch(text):
        return text
    text = text.encode("utf-8", errors="backslashreplace").decode("utf-8").replace("\0", r"\x00")
    return "".join(map(_as_text, _PART.split(text)))


def _as_text(part: str) -> str:
    formula = _FORMULA.match(part) and not _HARMLESS.fullmatch(part.rstrip(";\t\r\n") if part.strip() else part)
    return f"'{part}" if formula else part
