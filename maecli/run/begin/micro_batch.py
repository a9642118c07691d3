"""The micro-batch of a run that is to take what fits into memory: found before the first step, and recorded."""

from __future__ import annotations

import contextlib

from maecli.data.batching import largest_part
from maecli.errors import OutOfMemory, SpecError
from maecli.parallel.lead import world
from maecli.progress import Progress
from maecli.run.directory import RunDirectory
from maecli.run.open import Built
from maecli.schema import AUTO, RunSpec
from maecli.text import number_of
from maecli.training.loop.fitting import free_now, halves, largest_that_fits, rehearse
from maecli.training.loop.trainer import Trainer


def settle_micro_batch(built: Built, begun: RunDirectory | None, progress: Progress) -> RunSpec:
    """Return the spec of a run with the largest micro-batch that fits, of the batch, its half, and so on.

    Of several processes the first tries, for all: its share of the batch, in its share of the memory. A run that was
    `begun` keeps the one with which it was. Raises OutOfMemory where not even one sample fits, SpecError where the
    first has not the parts of the module that it would train.
    """
    spec = built.spec
    if spec.train.micro_batch_size != AUTO:
        return spec
    recorded = begun.spec(progress.say)["train"].get("micro_batch_size") if begun is not None else None
    size = recorded if isinstance(recorded, int) else _found(built, progress)
    return spec.model_copy(update={"train": spec.train.model_copy(update={"micro_batch_size": size})})


def _found(built: Built, progress: Progress) -> int:
    num_processes = world().size
    if built.spec.parallel == "fsdp" and num_processes > 1:
        raise SpecError(
            "--micro-batch-size auto is tried in one process, which does not hold all that parallel: fsdp shares "
            "among several; give a number"
        )
    trainer = Trainer(built.task, built.module, built.spec, built.loader("train"), None, built.dtype)
    with progress.working("trying micro-batches"):
        size = largest_micro_batch(trainer, num_processes)
    if size is None:
        raise OutOfMemory("memory is used up by a single sample; try a smaller --img-size or model")
    batch = number_of(trainer.schedule.batching.batch_size, "sample")
    shared = f", shared by {num_processes} processes," if num_processes > 1 else ""
    told = f"the most that fits into memory, of batches of {batch}{shared} and their halves"
    progress.say(f"micro-batches of {size:,}: {told}")
    return size


def largest_micro_batch(trainer: Trainer, num_processes: int = 1) -> int | None:
    """Return the largest micro-batch of a run that fits: of a process's share of a batch, its half, and so on.

    None where none fits.
    """
    spec, batching = trainer.spec, trainer.schedule.batching
    last = batching.num_batches - 1  # of the first epoch, than which none is larger
    batches = trainer.train_loader.train_batches(spec.augment, spec.train.batch_size, last, last + 1, batching.keep)
    trainer.module.train()
    with contextlib.closing(batches):
        batch = next(next(batches).micro_batches(largest_part(batching.batch_size, num_processes)))

        def attempt(size: int) -> None:
            rehearse(trainer.learner, trainer.task.loss, batch, size)

        return largest_that_fits(halves(len(batch)), attempt, free_now(trainer.device))
