"""Measuring a module on one split, and drawing what it does there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.data.loading import Loader
from maecli.errors import DataError
from maecli.hardware import autocast
from maecli.results import Evaluation
from maecli.training.finite import NotFiniteOutput, OutputWatch, try_samples, without
from maecli.training.task import Evaluator, Task

NUM_DRAWN = 36
"""How many evenly spaced samples a task gets to draw."""


@torch.no_grad()
def measure(
    task: Task[Any],
    module: nn.Module,
    loader: Loader,
    batch_size: int,
    dtype: torch.dtype,
    thorough: bool = True,
    left_out: Collection[int] = (),
) -> tuple[Evaluator[Any], int]:
    """Return an evaluator that has seen the whole split but for the samples `left_out`, and how many it has seen."""
    was_training = module.training
    module.eval()
    evaluator, seen = task.evaluator(thorough), 0
    with autocast(loader.device, dtype):
        for batch in _batches(loader, batch_size, left_out):
            evaluator.update(module, batch)
            seen += len(batch)
    module.train(was_training)
    return evaluator, seen


def _batches(loader: Loader, batch_size: int, left_out: Collection[int], limit: int | None = None) -> Iterator[Batch]:
    """Yield the batches of an evaluation without the samples at some positions of the split."""
    for batch in loader.eval_batches(batch_size, limit):
        if left_out:
            batch = without(batch, (i for i, sample in enumerate(batch.draws.ids.tolist()) if sample in left_out))
        if len(batch):
            yield batch


@torch.no_grad()
def measure_finite(
    task: Task[Any], module: nn.Module, loader: Loader, batch_size: int, dtype: torch.dtype
) -> tuple[Evaluator[Any], int, Collection[int]]:
    """Return what `measure` does of the samples whose outputs are finite, and the positions of the others.

    The loader's `on_broken` is told of each. Where one is found, what the evaluator has seen is spoilt, and all others
    are measured again. Raises DataError where none is left.
    """
    was_training = module.training
    module.eval()
    evaluator, seen, spoilt = task.evaluator(), 0, False
    left_out: dict[int, tuple[str, str]] = {}

    def alone(part: Batch) -> None:
        task.evaluator().update(module, part)

    with autocast(loader.device, dtype), OutputWatch(module) as watch:
        for batch in loader.eval_batches(batch_size):
            seen += len(batch)
            try:
                watch.run(partial(evaluator.update, module, batch))
            except NotFiniteOutput:
                evaluator, spoilt = task.evaluator(), True
                for i, reason in try_samples(watch, batch, alone)[1].items():
                    left_out[int(batch.draws.ids[i])] = batch.keys[i], reason
    module.train(was_training)
    for key, reason in left_out.values():
        loader.on_broken(key, reason)
    if left_out and len(left_out) == seen:
        raise DataError(
            f"the model's output is not finite for any of the {seen:,} samples that can be read, so there is nothing "
            "to measure; look at the range of the data's values, try --precision float32, or train again"
        )
    if spoilt:
        evaluator, seen = measure(task, module, loader, batch_size, dtype, left_out=left_out)
    return evaluator, seen, left_out


@torch.no_grad()
def fit_twins(task: Task[Any], loader: Loader, batch_size: int) -> None:
    """Let the task learn its trivial predictors from evenly spaced training samples."""
    if task.twin_samples:
        task.fit_twins(loader.eval_batches(batch_size, limit=task.twin_samples))


@torch.no_grad()
def evaluate(
    task: Task[Any], module: nn.Module, loader: Loader, split: str, batch_size: int, dtype: torch.dtype
) -> Evaluation:
    """Return every figure, table and picture of one split. `fit_twins` comes first.

    Samples for which the module's output is not finite are left out, like those that cannot be read.
    """
    evaluator, seen, left_out = measure_finite(task, module, loader, batch_size, dtype)
    pictures = list(evaluator.pictures())
    module.eval()
    with autocast(loader.device, dtype):
        for batch in _batches(loader, NUM_DRAWN, left_out, limit=NUM_DRAWN):
            pictures += task.draw(module, batch)
            break
    return Evaluation(
        split=split,
        num_samples=seen,
        figures=tuple(evaluator.figures()),
        tables=tuple(evaluator.tables()),
        pictures=tuple(pictures),
        notes=tuple(task.describe()),
    )
