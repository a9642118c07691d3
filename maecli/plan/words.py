"""A plan in words."""

from __future__ import annotations

from collections.abc import Sequence

from maecli.data.facts import Facts
from maecli.hardware import num_cores
from maecli.plan import rules
from maecli.plan.make import FOR_STEPS, Choice, RunPlan
from maecli.progress import duration
from maecli.spec.layers import PLANNED
from maecli.text import number_of

MORE = 6
"""How many times the time is which a person is told of."""
TO_COMPARE = "the same from random weights, to tell whether pretraining pays (`--compare none` leaves it out)"


def sentence(plan: RunPlan, companions_s: float = 0.0) -> str:
    """Return the plan in a sentence, what its companions take, and what more time would bring."""
    choice = plan.choice
    said = f"{described(plan.facts, plan.device)}: {of_choice(choice)}"
    if choice.seconds is None:
        return said
    compared = f", and {duration(companions_s)} more for {TO_COMPARE}" if companions_s else ""
    return f"{said}, about {duration(choice.seconds)}{compared}{_with_more_time(plan)}"


def described(facts: Facts, device: str) -> str:
    """Return the data and the machine: 300 pictures (240 train, 30 val, 30 test) of about 64 × 64 on 2 cores."""
    machine = f"on {number_of(num_cores(), 'core')}" if device == "cpu" else f"on one {device.upper()} device"
    return f"{_counted(facts)} of about {by(facts.size)} {machine}"


def _counted(facts: Facts) -> str:
    """Return how many samples there are, all of them, as a person knows them, and of each split."""
    sizes = {"train": facts.num_train, "val": facts.num_val, "test": facts.num_test}
    splits = [f"{num:,} {name}" for name, num in sizes.items() if num]
    told = number_of(sum(sizes.values()), facts.unit.removesuffix("s"), facts.unit)
    return f"{told} ({', '.join(splits)})" if len(splits) > 1 else told


def of_choice(choice: Choice) -> str:
    """Return a choice: vit-lite at 64, patch 8, batches of 16, 900 steps (60 epochs)."""
    spec, size = choice.spec, choice.img_size
    parts = [f"{spec.model.name} at {size[0] if len(set(size)) == 1 else by(size)}"]
    if patch := spec.model.options.get("patch_size"):
        parts.append(f"patch {patch if isinstance(patch, int) else by(patch)}")
    parts += [f"batches of {spec.train.batch_size}", f"{number_of(choice.steps, 'step')} ({epochs(choice)})"]
    if spec.adapt is not None and spec.sources.get("train.base_lr") == PLANNED:
        parts.append(f"adapters at {spec.adapt.TIMES_RATE:g} times the rate of all weights")
    return ", ".join(parts)


def epochs(choice: Choice) -> str:
    """Return how often each sample is seen: 60 epochs, or 40% of one."""
    share = choice.steps / choice.steps_per_epoch
    if share < 1:
        return f"{share:.0%} of an epoch"
    return number_of(round(share), "epoch") if choice.steps % choice.steps_per_epoch == 0 else f"{share:.1f} epochs"


def _with_more_time(plan: RunPlan) -> str:
    """Return what a longer time would bring, if it would."""
    choice, seconds = plan.choice, MORE * plan.time_s
    if choice.timing is None:
        return ""
    if plan.device == "cpu":
        seconds = max(3600.0, seconds)
    batch, per_epoch = choice.spec.train.batch_size, choice.steps_per_epoch
    timing = choice.timing
    longer = rules.schedule(
        choice.spec.verb, batch, per_epoch, timing.step_s, FOR_STEPS * seconds, timing.first_epoch_s
    )
    if longer.steps < 1.2 * choice.steps:
        return ""
    return f"; `--time {flag(seconds)}` would take {longer.steps:,} steps ({number_of(longer.epochs, 'epoch')})"


def flag(seconds: float) -> str:
    """Return a time as `--time` takes it: 90s, 2m30s, 10m, 1h, 1h30m; above ten minutes without seconds."""
    if seconds < 120:
        return f"{round(seconds)}s"
    whole = round(seconds) if seconds < 600 else 60 * round(seconds / 60)
    parts = {"h": whole // 3600, "m": whole % 3600 // 60, "s": whole % 60}
    return "".join(f"{num}{unit}" for unit, num in parts.items() if num)


def by(lengths: Sequence[int]) -> str:
    """Return lengths as people write them: 64 × 84."""
    return " × ".join(f"{length:,}" for length in lengths)
