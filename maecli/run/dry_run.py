"""What a run would be: everything is built, a few steps are timed, nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maecli.hardware import describe_device
from maecli.progress import Progress, duration
from maecli.registry import Registry
from maecli.run.begin.extend import parent_of
from maecli.run.begin.micro_batch import largest_micro_batch
from maecli.run.begin.place import run_directory
from maecli.run.begin.timing import SECONDS, Timing, time_run
from maecli.run.data.what_was_read import reading_json, what_was_read
from maecli.run.open import Built, Data, open_run
from maecli.run.together import make_trainer
from maecli.run.weights.initial import start_encoder
from maecli.schema import AUTO, RunSpec
from maecli.training.loop.optim import peak_rate
from maecli.training.loop.trainer import Trainer


@dataclass(frozen=True)
class Rehearsal:
    """A run that was begun to be timed."""

    trainer: Trainer
    start: str
    """What its encoder starts from, in words."""
    timing: Timing
    total_s: float
    """What training takes, about; measuring on test comes on top."""


def rehearse(built: Built, progress: Progress, seconds: float = SECONDS) -> Rehearsal:
    """Give a run its first weights and time a few of its steps, about so many seconds long; write nothing."""
    spec, registry = built.spec, built.data.registry
    parent = parent_of(spec, registry, progress.say)
    start = start_encoder(built, progress.say, resuming=parent is not None)
    trainer = make_trainer(built, None, progress)
    if parent is not None:
        trainer.extend(parent.checkpoint)
        start = f"goes on from {spec.extend} at step {trainer.begin:,}"
    if spec.train.micro_batch_size == AUTO:
        trainer.micro_batch_size = largest_micro_batch(trainer)
    left = trainer.schedule.total_steps - trainer.begin, *trainer.schedule.num_left(trainer.begin)
    timing = time_run(trainer, seconds)
    return Rehearsal(trainer, start, timing, timing.total_s(*left))


def dry_run(
    spec: RunSpec,
    registry: Registry,
    progress: Progress,
    time_s: float | None = None,
    opened: Data | None = None,
) -> dict[str, Any]:
    """Build everything, time a few steps, write nothing; return what the run would be.

    `time_s` is the time that a person gave for its plan, `opened` the data that the plan opened.
    """
    built = open_run(spec, registry, progress.say, opened=opened)
    for line in what_was_read(built.card, len(built.data.faults), built.data.num_broken_samples()):
        progress.say(line)
    run = rehearse(built, progress)
    trainer, timing = run.trainer, run.timing
    return {
        "out": str(run_directory(spec, registry, time_s=time_s)),
        **reading_json(built.card),
        "parameters": sum(p.numel() for p in built.module.parameters()),
        "encoder_parameters": sum(p.numel() for p in built.module.get_submodule("encoder").parameters()),
        "train_samples": len(built.loader("train").split),
        "val_samples": len(built.loader("val").split),
        "steps_per_epoch": trainer.schedule.steps_per_epoch,
        "total_steps": trainer.schedule.total_steps,
        "learning_rate": peak_rate(trainer.schedule.settings),
        "device": describe_device(built.device),
        "precision": str(built.dtype).removeprefix("torch."),
        "init": run.start,
        "memory_bytes": timing.memory_bytes,
        "seconds_per_step": round(timing.step_s, 4),
        "samples_per_s": round(trainer.schedule.batching.batch_size / timing.step_s, 1),
        "estimated_seconds": round(run.total_s),
        "estimated_time": time_in_words(run.total_s, spec),
    }


def time_in_words(seconds: float, spec: RunSpec) -> str:
    """Return how long training takes, about: at most so long where it may stop early."""
    return f"{'at most ' if spec.train.patience is not None else ''}{duration(seconds)}"
