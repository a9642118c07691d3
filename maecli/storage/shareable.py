"""What may leave a person's machine: records and pages in which no path says whose home it was in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def shareable(value: Any) -> Any:
    """Return plain values, or a text, with `~` where they name the home of whoever runs this.

    Whatever is written to be passed on goes through here: metadata of checkpoints, results, pages, features. The
    `spec.yaml` of a run keeps paths in full. On the same machine `~` leads where the path led.
    """
    homes = _homes()
    return _without(value, homes) if homes else value


def _homes() -> re.Pattern[str] | None:
    """Return what matches a home at the beginning of a path, by its name and by where links lead."""
    try:
        home = str(Path.home())
    except RuntimeError:  # nobody's
        return None
    names = sorted({home.rstrip("/"), os.path.realpath(home).rstrip("/")} - {""}, key=len, reverse=True)
    return re.compile(rf"(?<![\w/.~-])(?:{'|'.join(map(re.escape, names))})(?![\w.-])") if names else None


def _without(value: Any, homes: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return homes.sub("~", value)
    if isinstance(value, Mapping):
        return {_without(key, homes): _without(part, homes) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without(part, homes) for part in value]
    return value


_ENDS = r"\s/\\\"'`,;:()<>|\[\]{}"
_ABSOLUTE = re.compile(rf"(?<![\w.:/\\~-])(?:~|[A-Za-z]:)?(?:[/\\]+[^{_ENDS}]+)+[/\\]?")


def without_folders(value: Any, known: Sequence[str] = ()) -> Any:
    """Return plain values, or a text, with the last name of each absolute path in place of the path.

    For what is published. A path ends at a blank; `known` are paths that may have some in them.
    """
    if isinstance(value, str):
        for path in sorted(known, key=len, reverse=True):
            value = value.replace(path, last_name(path))
        whole = last_name(value) if is_absolute(value) else value
        return _ABSOLUTE.sub(lambda match: last_name(match[0]), whole)
    if isinstance(value, Mapping):
        return {without_folders(key, known): without_folders(part, known) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(part, known) for part in value]
    return value


def last_names(value: Any) -> Any:
    """Return plain values with the last name of each text that is an absolute path; other texts stay as they are."""
    if isinstance(value, str):
        return last_name(value) if is_absolute(value) else value
    if isinstance(value, Mapping):
        return {key: last_names(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [last_names(part) for part in value]
    return value


def is_absolute(text: str) -> bool:
    """Return whether a whole text is an absolute path, of this system or another, or one in a home."""
    return re.match(r"(?:~|[A-Za-z]:)?[/\\]", text) is not None and "\n" not in text


def last_name(path: str) -> str:
    """Return the last name of a path, of this system or another."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path
