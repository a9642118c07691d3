"""How much time a run may take: what `--time` says, else what suits the device."""

from __future__ import annotations

import math
import re

from maecli.errors import SpecError
from maecli.text import brief

DEFAULT_S = {
    "cpu": {"pretrain": 130.0, "finetune": 130.0},
    "cuda": {"pretrain": 1800.0, "finetune": 600.0},
    "mps": {"pretrain": 900.0, "finetune": 300.0},
}
"""Seconds by device and verb: on a CPU all verbs together take under five minutes."""
SHORTEST_S, LONGEST_S = 5.0, 366 * 86400.0
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)")


def parse_time(text: str, flag: str = "--time") -> float:
    """Return the seconds of a time such as 90s, 10m, 1h or 1h30m. Raises SpecError for what is none."""
    compact = text.strip().lower()
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact.replace(" ", ""):
        raise SpecError(f"{flag} {brief(text)} is no time; write 90s, 10m, 1h or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise SpecError(f"{flag} {brief(text)} must be 5 seconds or more, and a year or less")
    return seconds


def written_time(seconds: float) -> float:
    """Return the next time that people would write: in whole fives of seconds, halves of minutes, or minutes."""
    step = 5 if seconds <= 120 else 30 if seconds <= 600 else 60
    return float(step * math.ceil(seconds / step))


def default_time(device: str, verb: str) -> float:
    """Return the seconds that a run may take on a kind of device where nobody says."""
    return DEFAULT_S.get(device, DEFAULT_S["cpu"])[verb]
