"""What becomes of the learning rate where a person changes the batch of a recipe, and nothing else."""

from __future__ import annotations

import dataclasses
import math

from maecli.errors import MaeError
from maecli.plan.make import BY_HAND, Resolve
from maecli.schema import RunSpec
from maecli.spec.ask import Ask
from maecli.spec.recipes import parse_sets
from maecli.training.loop.optim import peak_rate

BATCH, RATE = "train.batch_size", "train.base_lr"


def changed_batch(ask: Ask, spec: RunSpec, resolve: Resolve) -> str:
    """Return what a person should know of the rate, and one that suits; empty where the batch is not theirs alone.

    By the square root of the batch's size: adaptive optimisers, arXiv:2205.10287, section 4.
    """
    if spec.sources.get(BATCH) not in BY_HAND or spec.sources.get(RATE) in BY_HAND:
        return ""
    try:
        usual = resolve(_without_batch(ask))
    except MaeError:  # it is the batch that makes the rest fit
        return ""
    old, new = usual.train, spec.train
    if old.batch_size == new.batch_size:
        return ""
    suits = old.base_lr * math.sqrt(old.batch_size / new.batch_size)
    return (
        f"batches of {new.batch_size} instead of {old.batch_size}: the learning rate is {peak_rate(new):.3g} (base_lr "
        f"{new.base_lr:g} × {new.batch_size} / 256) instead of {peak_rate(old):.3g}; --base-lr {suits:.2g} suits this "
        "batch, by the square root of its size"
    )


def _without_batch(ask: Ask) -> Ask:
    """Return what was asked for, but for the batch."""
    flags = {key: value for key, value in ask.flags.items() if key != BATCH}
    sets = [text for text in ask.sets if BATCH not in parse_sets([text])]
    return dataclasses.replace(ask, flags=flags, sets=sets)
