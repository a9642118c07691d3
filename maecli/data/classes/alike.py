"""Names that a person may have meant as one: they differ by case, by blanks, or in how a number is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?\Z")
_NO_WIDTH = "\ufeff\u200b\u200c\u200d\u2060"


def tidy(name: str) -> str:
    """Return a name without what surrounds it and cannot be seen, in the Unicode form NFC."""
    return unicodedata.normalize("NFC", name).strip(_NO_WIDTH).strip().strip(_NO_WIDTH)


def alike_key(name: str) -> str:
    """Return what names that look alike have in common: `Cat`, `cat` and `c at`, or `1`, `01` and `1.0`."""
    name = tidy(name)
    if _NUMBER.match(name):
        return repr(float(name))
    return "".join(name.replace("_", " ").casefold().split())


def plain(name: str) -> str:
    """Return a name in small letters of one form, with single blanks for underscores."""
    letters = unicodedata.normalize("NFC", name).casefold()
    return " ".join(unicodedata.normalize("NFC", letters).replace("_", " ").split())


def alike(names: Iterable[str]) -> list[list[str]]:
    """Return the names that look alike, each group in the order in which they come."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(alike_key(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
