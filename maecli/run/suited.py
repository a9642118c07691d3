"""Which tasks a data set can serve: for the commands that a report suggests."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import Any

from maecli.errors import PluginError
from maecli.registry import Registry


def suited_tasks(fields: Collection[str], registry: Registry, ahead: bool = False) -> list[str]:
    """Return the fine-tuning tasks that need no more than these fields of a sample, without those that are broken.

    `ahead`: whether `target` is what follows a window.
    """
    suited = []
    for name in registry.names("task"):
        try:
            task = registry.task(name)
        except PluginError:
            continue
        numbers_fit = "target" not in task.fields or task.looks_ahead == ahead
        if task.verb == "finetune" and set(task.fields) <= set(fields) and numbers_fit:
            suited.append(name)
    return suited


def target_follows(card: Mapping[str, Any]) -> bool:
    """Whether the `target` of a card's samples follows a window: there is a horizon, or channels are to be forecast.

    The card of pretraining has no horizon, as it learns from windows alone.
    """
    targets = set(card.get("targets", ()))
    return card.get("horizon") is not None or (bool(targets) and targets <= set(card.get("channel_names", ())))


def shell(*parts: Any) -> str:
    """Return a command line of these words, quoted where a shell would split them."""
    return shlex.join(str(part) for part in parts)
