"""What a run would be: everything is built, a few steps are timed, nothing is written."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

from maecli.hardware import (
    describe_device,
    memory_used,
)
from maecli.progress import Progress, duration
from maecli.registry import Registry
from maecli.run.open import (
    ask_frozen_encoder,
    default_out,
    make_trainer,
    prepare,
)
from maecli.schema import RunSpec
from maecli.training.optim import peak_rate

DRY_STEPS = 5, 14
"""How many steps a dry run times, at least and at most: the first ones find their batches ready, read ahead."""
DRY_SECONDS = 20.0
"""After this long the least number of steps is enough."""


@dataclass(frozen=True)
class DryRun:
    """What a run would be."""

    facts: dict[str, Any]


def dry_run(spec: RunSpec, registry: Registry, progress: Progress) -> DryRun:
    """Build everything, time a few steps, write nothing."""
    prepared = prepare(spec, registry, progress)
    trainer = make_trainer(prepared, None, progress)
    trainer.module.train()
    steps = min(DRY_STEPS[1], trainer.total_steps)
    times: list[float] = []
    begin = time.monotonic()
    sizes = len(prepared.train.split), len(prepared.val.split)
    asked = DRY_STEPS[0] * spec.train.batch_size
    once = ask_frozen_encoder(trainer, asked)
    once_s = time.monotonic() - begin
    first_s = once_s * sum(sizes) / sum(min(asked, size) for size in sizes) if once else 0.0
    begin = time.monotonic()
    for batch in trainer.train_loader.train_batches(spec.augment, spec.train.batch_size, 0, steps):
        trainer.train_step(batch)
        trainer.check_finite()  # waits for the device
        trainer.step += 1
        times.append(time.monotonic() - begin)
        begin = time.monotonic()
        if len(times) >= DRY_STEPS[0] and sum(times) > DRY_SECONDS:
            break
    step_s = statistics.mean(times[len(times) // 2 :])  # a mean, since batches that are waited for come in bursts
    total_s = first_s + step_s * trainer.total_steps
    module = prepared.assembly.module
    return DryRun(
        {
            "out": str(spec.out or default_out(spec)),
            "parameters": sum(p.numel() for p in module.parameters()),
            "encoder_parameters": sum(p.numel() for p in module.get_submodule("encoder").parameters()),
            "train_samples": sizes[0],
            "val_samples": sizes[1],
            "steps_per_epoch": trainer.steps_per_epoch,
            "total_steps": trainer.total_steps,
            "learning_rate": peak_rate(spec.train),
            "device": describe_device(prepared.device),
            "precision": str(prepared.dtype).removeprefix("torch."),
            "init": prepared.init,
            "memory_bytes": memory_used(prepared.device),
            "seconds_per_step": round(step_s, 4),
            "samples_per_s": round(spec.train.batch_size / step_s, 1),
            "estimated_seconds": round(total_s),
            "estimated_time": duration(total_s),
        }
    )
