"""Settings made by hand, against which the plan is measured: at most six per set, each within the same five minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_HANDS = 6


@dataclass(frozen=True)
class Hand:
    """One setting, as what is typed behind `mae pretrain` and `mae finetune`."""

    name: str
    pretrain: Sequence[str] | None = ()
    """None: from scratch."""
    finetune: Sequence[str] = ()


HANDS: Mapping[str, Sequence[Hand]] = {}
