"""The micro-batch of a run that is to take what fits into memory: found before the first step, and recorded."""

from __future__ import annotations

import contextlib

from maecli.errors import OutOfMemory
from maecli.progress import Progress
from maecli.run.directory import RunDirectory
from maecli.run.open import Built
from maecli.schema import AUTO, RunSpec
from maecli.text import number_of
from maecli.training.loop.fitting import halves, largest_that_fits, rehearse
from maecli.training.loop.trainer import Trainer


def settle_micro_batch(built: Built, begun: RunDirectory | None, progress: Progress) -> RunSpec:
    """Return the spec of a run with the largest micro-batch that fits, of the batch, its half, and so on.

    Of several processes the first tries, for all. A run that was `begun` keeps the one with which it was. Raises
    OutOfMemory where not even one sample fits.
    """
    spec = built.spec
    if spec.train.micro_batch_size != AUTO:
        return spec
    recorded = begun.spec(progress.say)["train"].get("micro_batch_size") if begun is not None else None
    size = recorded if isinstance(recorded, int) else _found(built, progress)
    return spec.model_copy(update={"train": spec.train.model_copy(update={"micro_batch_size": size})})


def _found(built: Built, progress: Progress) -> int:
    trainer = Trainer(built.task, built.module, built.spec, built.loader("train"), None, built.dtype)
    with progress.working("trying micro-batches"):
        size = largest_micro_batch(trainer)
    if size is None:
        raise OutOfMemory("memory is used up by a single sample; try a smaller --img-size or model")
    batch = number_of(trainer.schedule.batching.batch_size, "sample")
    progress.say(f"micro-batches of {size:,}: the most that fits into memory, of batches of {batch} and their halves")
    return size


def largest_micro_batch(trainer: Trainer) -> int | None:
    """Return the largest micro-batch of a run that fits: the batch, its half, and so on; None where none does."""
    spec, first = trainer.spec, trainer.step
    batches = trainer.train_loader.train_batches(
        spec.augment, spec.train.batch_size, first, first + 1, trainer.schedule.batching.keep
    )
    trainer.module.train()
    with contextlib.closing(batches):
        batch = next(batches)

        def attempt(size: int) -> None:
            rehearse(trainer.learner, trainer.task.loss, batch, size)

        return largest_that_fits(halves(len(batch)), attempt, trainer.device)
