"""The head that a new run may keep of the run that it starts from: rows of classes that both know by name.

Shapes: Q classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from maecli.data.card import DataCard
from maecli.data.classes.class_names import UNKNOWN, ClassMatch, match_classes
from maecli.errors import DataError
from maecli.run.weights.recorded import ENCODER
from maecli.text import some
from maecli.training.checkpoint import check_finite
from maecli.training.task import ClassField, Task

MOST_NAMED = 5


@dataclass(frozen=True)
class RecordedHead:
    """What a run of ours learnt beside its encoder."""

    source: str
    task: str
    options: Mapping[str, Any]
    """Of the task."""
    card: DataCard
    tensors: Mapping[str, Tensor]

    @classmethod
    def read(cls, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str) -> RecordedHead | None:
        """Return the head of a fine-tuned run, None of a pretrained one and where its record cannot be read."""
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(ENCODER)}
        if metadata.get("verb") != "finetune" or not own:
            return None
        try:
            options, card = metadata["spec"]["task"], DataCard.model_validate(metadata["card"])
            return cls(source, options["name"], options, card, own)
        except (KeyError, TypeError, ValidationError):
            return None


class KeptHead(NamedTuple):
    """What became of a recorded head."""

    words: str = ""
    num_tensors: int = 0
    """How many of the recorded ones were used."""


def class_names(card: DataCard, field: ClassField) -> tuple[str, ...]:
    return card.classes if field == "label" else card.mask_classes


@torch.no_grad()
def keep_head(task: Task[Any], module: nn.Module, head: RecordedHead) -> KeptHead:
    """Give a new module the head of another run, as far as it means the same, and return what became of it.

    Rows of classes that are known by name are kept, and so is what all classes share. The head stays new where it is
    another task's, has another form, or knows none of the classes. Empty for a task without rows for classes.
    """
    rows = task.class_rows(module)
    if not rows:
        return KeptHead()
    own = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(ENCODER)}
    if reason := _other_head(task, own, rows, head):
        return KeptHead(f"head: new, since {reason}")
    try:
        matches = {
            field: match_classes(class_names(task.card, field), class_names(head.card, field))
            for field in dict.fromkeys(rows.values())
        }
    except DataError:
        return KeptHead("head: new, since a name stands for two classes")
    if not any(number != UNKNOWN for match in matches.values() for number in match.numbers):
        return KeptHead(f"head: new, since none of its classes is known to {head.source}")
    check_finite(head.tensors, head.source)
    for name, tensor in own.items():
        if name not in rows:
            tensor.copy_(head.tensors[name])
            continue
        for place, number in enumerate(matches[rows[name]].numbers):
            if number != UNKNOWN:
                tensor[place].copy_(head.tensors[name][number])
    return KeptHead(f"head: {'; '.join(map(_kept, matches.values()))}", len(own))


def _other_head(
    task: Task[Any], own: Mapping[str, Tensor], rows: Mapping[str, ClassField], head: RecordedHead
) -> str | None:
    """Return in words why a head means something else than the recorded one, None where it does not."""
    if task.name != head.task:
        return f"{head.source} learnt the task {head.task}"
    if task.card.multi_label != head.card.multi_label:
        return f"{head.source} learnt {'several labels' if head.card.multi_label else 'one label'} per sample"
    options = task.options.model_dump(mode="json")
    for name in task.head_options:
        if name in head.options and head.options[name] != options[name]:
            return f"task.{name} is {options[name]}, and was {head.options[name]} in {head.source}"
    same = own.keys() == head.tensors.keys() and all(
        tensor.shape[1:] == head.tensors[name].shape[1:]
        and len(head.tensors[name]) == len(class_names(head.card, rows[name]))
        if name in rows
        else tensor.shape == head.tensors[name].shape
        for name, tensor in own.items()
    )
    return None if same else f"that of {head.source} has another form"


def _kept(match: ClassMatch) -> str:
    """Say which classes keep their rows, and of how many."""
    known = [
        name if match.ours[number] == name else f"{name} as {match.ours[number]}"
        for name, number in zip(match.theirs, match.numbers, strict=True)
        if number != UNKNOWN
    ]
    num, new = len(match.theirs), len(match.unknown)
    words = f"{len(known):,} of {num:,} classes known by name ({some(known, MOST_NAMED)}) keep their rows"
    return f"{words}; {new:,} {'is' if new == 1 else 'are'} new" if new else words
