"""What a run would be: everything is built, a few steps are timed, nothing is written."""

from __future__ import annotations

import statistics
import time
from typing import Any

from maecli.hardware import describe_device, memory_used
from maecli.progress import Progress, duration
from maecli.registry import Registry
from maecli.run.data.what_was_read import reading_json, what_was_read
from maecli.run.open import open_run
from maecli.run.place import run_directory
from maecli.run.train import make_trainer
from maecli.run.weights.initial import start_encoder
from maecli.schema import RunSpec
from maecli.training.evaluation import measure
from maecli.training.frozen import ask_frozen_encoder
from maecli.training.optim import peak_rate
from maecli.training.trainer import Trainer

DRY_STEPS = 5, 14
"""How many steps a dry run times, at least and at most: the first ones find their batches ready, read ahead."""
DRY_BATCHES = 8
"""How many batches of the validation split are timed, at most."""
BYTES_PER_S = 200e6
"""How fast a checkpoint is written and hashed, about: none is written to find out."""
DRY_SECONDS = 20.0
"""After this long the least number of steps is enough."""


def dry_run(spec: RunSpec, registry: Registry, progress: Progress) -> dict[str, Any]:
    """Build everything, time a few steps, write nothing; return what the run would be."""
    built = open_run(spec, registry, progress.say)
    start = start_encoder(built, progress.say)
    trainer = make_trainer(built, None, progress)
    trainer.module.train()
    steps = min(DRY_STEPS[1], trainer.total_steps)
    times: list[float] = []
    begin = time.monotonic()
    sizes = len(built.loader("train").split), len(built.loader("val").split)
    for line in what_was_read(built.card, len(built.data.faults)):
        progress.say(line)
    limit = DRY_STEPS[0] * spec.train.batch_size
    once = ask_frozen_encoder(trainer, limit)
    once_s = time.monotonic() - begin
    first_s = once_s * sum(sizes) / sum(min(limit, size) for size in sizes) if once else 0.0
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
    validations, saves = trainer.num_left(0)
    total_s = first_s + step_s * trainer.total_steps + validations * _validation_s(trainer) + saves * _save_s(trainer)
    return {
        "out": str(run_directory(spec, registry)),
        **reading_json(built.card),
        "parameters": sum(p.numel() for p in built.module.parameters()),
        "encoder_parameters": sum(p.numel() for p in built.module.get_submodule("encoder").parameters()),
        "train_samples": sizes[0],
        "val_samples": sizes[1],
        "steps_per_epoch": trainer.steps_per_epoch,
        "total_steps": trainer.total_steps,
        "learning_rate": peak_rate(spec.train),
        "device": describe_device(built.device),
        "precision": str(built.dtype).removeprefix("torch."),
        "init": start,
        "memory_bytes": memory_used(built.device),
        "seconds_per_step": round(step_s, 4),
        "samples_per_s": round(spec.train.batch_size / step_s, 1),
        "estimated_seconds": round(total_s),
        "estimated_time": duration(total_s),
    }


def _validation_s(trainer: Trainer) -> float:
    """Return what measuring the validation split takes, by some of its batches; 0 where there is none."""
    loader, size = trainer.val_loader, trainer.spec.train.batch_size
    if loader is None or not len(loader.split):
        return 0.0
    num = min(len(loader.split), DRY_BATCHES * size)
    begin = time.monotonic()
    measure(trainer.task, trainer.final_module, loader, size, trainer.dtype, thorough=False, limit=num)
    return (time.monotonic() - begin) * len(loader.split) / num


def _save_s(trainer: Trainer) -> float:
    """Return what a checkpoint takes: the weights, two moments of each, and their average where there is one."""
    num_bytes = sum(parameter.numel() * parameter.element_size() for parameter in trainer.module.parameters())
    return num_bytes * (3 + (trainer.average is not None)) / BYTES_PER_S
