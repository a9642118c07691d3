"""What was made of a person's files, in words: said before training, and wherever samples are converted or left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maecli.data.card import DataCard
from maecli.text import one_line


def what_was_read(card: DataCard, num_broken: int = 0, num_among: int = 0) -> list[str]:
    """Return one line on what was read, one on what was converted and one on what was left out, where there is any.

    `num_broken` files are listed by name elsewhere; `num_among` samples of what was read are of these.
    """
    left_out = ({"broken": num_broken} if num_broken else {}) | card.left_out
    files = f"; {num_among:,} of these cannot be decoded" if num_among else ""
    files += f"; {num_broken:,} file{'' if num_broken == 1 else 's'} left out" if num_broken else ""
    files += " in all" if num_broken > num_among > 0 else ""
    lines = {
        "read": card.reading and card.reading + files,
        "converted": _counts(card.converted),
        "left out": _counts(left_out),
    }
    return [one_line(f"{what}: {line}") for what, line in lines.items() if line]


def reading_json(card: DataCard) -> dict[str, Any]:
    """Return the same for programs."""
    return {"reading": card.reading, "converted": card.converted, "left_out": card.left_out}


def _counts(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{num:,} {what}" for what, num in counts.items() if num)
