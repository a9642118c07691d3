"""Measuring a module on one split, and drawing what it does there."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.errors import DataError, Fault
from maecli.hardware import autocast
from maecli.loading.loader import Loader
from maecli.results import Evaluation
from maecli.training.counted import counted_of
from maecli.training.evaluator import Evaluator
from maecli.training.finite import (
    NOT_FINITE,
    TOO_LARGE,
    NotFiniteOutput,
    OutputWatch,
    not_finite,
    try_samples,
    without,
)
from maecli.training.task import Task

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
    skip: Collection[int] = (),
    limit: int | None = None,
    evaluator: Evaluator[Any] | None = None,
) -> tuple[Evaluator[Any], int]:
    """Return an evaluator that has seen the whole split but for the samples `skip`, and how many it has seen.

    `limit`: of `limit` evenly spaced samples only. `evaluator` has seen other splits before.
    """
    was_training = module.training
    module.eval()
    evaluator, seen = task.evaluator(thorough) if evaluator is None else evaluator, 0
    try:
        with autocast(loader.device, dtype):
            for batch in _batches(loader, batch_size, skip, limit):
                evaluator.update(module, batch)
                seen += len(batch)
    finally:
        module.train(was_training)
    return evaluator, seen


@torch.no_grad()
def fit_baselines(task: Task[Any], loader: Loader, batch_size: int) -> None:
    """Let the task learn its trivial predictors from evenly spaced training samples, of those with finite pictures."""
    if task.baseline_samples:
        batches = loader.eval_batches(batch_size, limit=task.baseline_samples)
        task.fit_baselines(finite for batch in batches if len(finite := _with_finite_pictures(loader, batch)))


@torch.no_grad()
def evaluate(
    task: Task[Any], module: nn.Module, loader: Loader, split: str, batch_size: int, dtype: torch.dtype
) -> Evaluation:
    """Return every metric, table and picture of one split, and what was counted. `fit_baselines` comes first.

    Samples for which an output or a metric is not finite are left out like those that cannot be read: the loader's
    `on_fault` is told of each, and the others are measured again. Raises DataError where no other is left.
    """
    measured = partial(measure, task, module, loader, batch_size, dtype)
    faults: dict[int, Fault] = {}
    try:
        with OutputWatch(module) as watch:
            evaluator, seen = watch.run(measured)
    except NotFiniteOutput:
        faults = find_faults(task, module, loader, batch_size, dtype)
        evaluator, seen = measured(skip=faults)
        if not seen:
            raise DataError(
                f"the model's output is not finite for any of the {len(faults):,} samples that can be read, so there "
                "is nothing to measure; look at the range of the data's values, try --precision float32, or train again"
            ) from None
    metrics = list(evaluator.metrics())
    if names := {metric.name for metric in metrics if not math.isfinite(metric.value)}:
        more = find_faults(task, module, loader, batch_size, dtype, names, faults)
        if 0 < len(more) < seen:  # of all samples it would say that the metric is never finite
            faults |= more
            evaluator, seen = measured(skip=faults)
            metrics = list(evaluator.metrics())
    drawings = list(evaluator.drawings())
    module.eval()
    with autocast(loader.device, dtype):
        for batch in _batches(loader, NUM_DRAWN, faults, limit=NUM_DRAWN):
            drawings += task.draw(module, batch)
            break
    return Evaluation(
        split=split,
        num_samples=seen,
        one=loader.preprocess.modality.one,
        many=loader.preprocess.modality.unit,
        finding=evaluator.finding(),
        metrics=tuple(metrics),
        tables=tuple(evaluator.tables()),
        drawings=tuple(drawings),
        notes=tuple(task.describe()),
        counted=counted_of(evaluator, loader.split.keys),
    )


@torch.no_grad()
def find_faults(
    task: Task[Any],
    module: nn.Module,
    loader: Loader,
    batch_size: int,
    dtype: torch.dtype,
    names: Collection[str] = (),
    known: Collection[int] = (),
) -> dict[int, Fault]:
    """Return the faults, by position in the split, of samples with outputs that are not finite.

    So are those that make any of the metrics `names` so by themselves. Samples that are `known` are not looked at. The
    loader's `on_fault` is told of each.
    """

    def by_itself(part: Batch) -> None:
        evaluator = task.evaluator(False)
        evaluator.update(module, part)
        for metric in evaluator.metrics() if names else ():
            if metric.name in names and not math.isfinite(metric.value):
                raise NotFiniteOutput(f"{NOT_FINITE}: its {metric.label} is {metric.value}")

    module.eval()
    faults: dict[int, Fault] = {}
    with autocast(loader.device, dtype), OutputWatch(module) as watch:
        for batch in _batches(loader, batch_size, known):
            for i, fault in try_samples(watch, batch, by_itself)[1].items():
                faults[int(batch.draws.ids[i])] = fault
                loader.on_fault(fault)
    return faults


def _batches(loader: Loader, batch_size: int, skip: Collection[int], limit: int | None = None) -> Iterator[Batch]:
    """Yield the batches of an evaluation without the samples at some positions of the split."""
    for batch in loader.eval_batches(batch_size, limit):
        if skip:
            batch = without(batch, (i for i, sample in enumerate(batch.draws.ids.tolist()) if sample in skip))
        if len(batch):
            yield batch


def _with_finite_pictures(loader: Loader, batch: Batch) -> Batch:
    """Return a batch without the samples whose pictures overflow when they are normalised; the loader is told."""
    gone = not_finite(batch["image"]) if "image" in batch else []
    for i in gone:
        loader.on_fault(Fault(batch.keys[i], TOO_LARGE))
    return without(batch, gone)
