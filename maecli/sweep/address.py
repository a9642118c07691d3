"""Which of a sweep's verbs a key is meant for.

1.  `pretrain.KEY` and `finetune.KEY` are for that verb alone.
2.  The name of a flag stands for its key: `mask_ratio` for `task.mask_ratio`.
3.  A key whose flag only one verb has, and an option that only one of the two tasks has, is for that verb:
    `task.mask_ratio` for pretraining, `task.head` and `task.name` for fine-tuning.
4.  `dataset.*`, `model.*`, `data.*`, `device`, `precision` and `compile` are for both.
5.  Every other key, such as `train.epochs`, has a meaning of its own in each verb: it must be written with the verb,
    unless the sweep has only one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from maecli.errors import SpecError, nearest
from maecli.schema import SPECS, RunSpec
from maecli.text import brief

OF_BOTH = frozenset({"dataset", "model", "data", "device", "precision", "compile"})
_NO_PLACE = {
    "seed": "seeds are given by --seeds, or by `seeds:`",
    "out": "each run has its directory in the sweep's; choose that by --out",
    "version": "it is the format of a spec",
    "verb": "it follows from the sections pretrain and finetune",
}
_LONGEST = 200  # letters; keys are written out in messages


@dataclass(frozen=True)
class Words:
    """What the command line calls the keys of a spec."""

    short: Mapping[str, str] = field(default_factory=dict)
    """Name of a flag → key."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Key → the one verb that has a flag for it."""


def address(
    key: str, verbs: Sequence[str], words: Words, options: Mapping[str, Collection[str]]
) -> tuple[str, tuple[str, ...]]:
    """Return the key as a spec has it, and the verbs, of those that the sweep does, that it is for.

    `options` are the names of each verb's task options. Raises SpecError for a key that is unknown, ambiguous, or for a
    verb that the sweep does not do.
    """
    verb, dot, rest = key.partition(".")
    if len(key) > _LONGEST:
        raise SpecError(f"unknown key {brief(key)}; write a key of the spec, such as model.patch_size")
    if dot and verb in SPECS:
        if verb not in verbs:
            raise SpecError(f"{key} is a key of mae {verb}, which this sweep does not do")
        return _known(rest, key, words), (verb,)
    full = _known(key, key, words)
    if full in words.only:
        if words.only[full] not in verbs:
            raise SpecError(f"{key} is a key of mae {words.only[full]}, which this sweep does not do")
        return full, (words.only[full],)
    section, _, name = full.partition(".")
    if section == "task":
        return full, (_by_task(key, name, verbs, options),)
    if section == "init" and "pretrain" in verbs:
        raise SpecError("init cannot be set here: fine-tunings start from the sweep's own pretrainings")
    if section in OF_BOTH or len(verbs) == 1:
        return full, tuple(verbs)
    raise SpecError(f"{key} means something else in each verb: write pretrain.{full} or finetune.{full}")


def _known(key: str, given: str, words: Words) -> str:
    """Return the full key. Raises SpecError when no spec has such a key; options are checked by their plugins later."""
    full = words.short.get(key, key)
    section = full.partition(".")[0]
    if section in _NO_PLACE:
        raise SpecError(f"{given} cannot be set here: {_NO_PLACE[section]}")
    if section not in RunSpec.model_fields:
        known = [*words.short, *RunSpec.model_fields]
        raise SpecError(
            f"unknown key {given!r}{nearest(key, known)}; write a key of the spec, such as model.patch_size, or one of "
            + ", ".join(sorted(words.short))
        )
    return full


def _by_task(key: str, name: str, verbs: Sequence[str], options: Mapping[str, Collection[str]]) -> str:
    """Return the verb whose task has the option."""
    takers = [verb for verb in verbs if name.partition(".")[0] in options[verb]]
    if len(takers) == 1:
        return takers[0]
    if takers:
        raise SpecError(f"{key} is an option of both tasks: write pretrain.task.{name} or finetune.task.{name}")
    known = sorted({option for verb in verbs for option in options[verb]})
    raise SpecError(f"unknown key {key!r}{nearest(name, known)}; the tasks of this sweep have {', '.join(known)}")
