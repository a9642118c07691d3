"""Which of a sweep's verbs a key is for: the one that it begins with, as in `finetune.train.epochs`.

`dataset.*`, `model.*`, `data.*`, `device`, `precision` and `compile` are for both; where a sweep has only one verb, so
is every key.
"""

from __future__ import annotations

from collections.abc import Sequence

from maecli.errors import SpecError, nearest
from maecli.schema import SPECS, RunSpec
from maecli.text import brief, shortened

OF_BOTH = frozenset({"dataset", "model", "data", "device", "precision", "compile"})
LABELS = "data.labels"
"""Of data, and yet not for both: pretraining learns without labels."""
_NO_PLACE = {
    "seed": "seeds are given by --seeds, or by `seeds:`",
    "out": "each run has its directory in the sweep's; choose that by --out",
    "version": "it is the format of a spec",
    "verb": "it follows from the sections pretrain and finetune",
}


def address(key: str, verbs: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the key as a spec has it, and the verbs, of those that the sweep does, that it is for.

    Raises SpecError for a key that no spec has, that lacks its verb, or for a verb that the sweep does not do.
    """
    verb, dot, rest = key.partition(".")
    named = bool(dot) and verb in SPECS
    full = rest if named else key
    section = full.partition(".")[0]
    if section in _NO_PLACE:
        raise SpecError(f"{shortened(key)} cannot be set here: {_NO_PLACE[section]}")
    if section not in RunSpec.model_fields:
        raise SpecError(
            f"unknown key {brief(key)}{nearest(section, RunSpec.model_fields)}; write a key of the spec, such as "
            "model.patch_size or pretrain.task.mask_ratio"
        )
    if named and verb not in verbs:
        raise SpecError(f"{shortened(key)} is a key of mae {verb}, which this sweep does not do")
    if named:
        return full, (verb,)
    if len(verbs) > 1 and (section not in OF_BOTH or full == LABELS):
        ways = " or ".join(f"{verb}.{shortened(key)}" for verb in verbs)
        raise SpecError(f"{shortened(key)} is for one verb at a time: write {ways}")
    return full, tuple(verbs)
