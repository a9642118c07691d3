"""What may leave a person's machine: records and pages in which no path says whose home it was in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
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
