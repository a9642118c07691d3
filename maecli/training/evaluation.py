"""Measuring a module on one split, and drawing what it does there."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Collection, Generator, Iterator
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.errors import DataError, Fault
from maecli.hardware import autocast
from maecli.loading.loader import WHOLE, Loader
from maecli.parallel.rounds import rounds
from maecli.parallel.world import ALONE, World
from maecli.results import Evaluation
from maecli.training.counted import counted_of
from maecli.training.evaluator import Evaluator, add_states
from maecli.training.finite import (
    NOT_FINITE,
    TOO_LARGE,
    NotFiniteOutput,
    OutputWatch,
    not_finite,
    try_samples,
    without,
)
from maecli.training.loop.stopping import Stopped
from maecli.training.task import Task

T = TypeVar("T")

IN_ONE = "measured in the first process alone: this evaluator counts nothing that several can add up"
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
    world: World = ALONE,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Evaluator[Any], int]:
    """Return an evaluator that has seen the whole split but for the samples `skip`, and how many it has seen.

    `limit`: of `limit` evenly spaced samples only. `evaluator` has seen other splits before, in one process. Of
    several, the evaluator of the first has then what all have counted; one that counts nothing sees all there.
    Raises Stopped, in all processes, before a batch at which one has `stopped`.
    """
    was_training = module.training
    module.eval()
    seeing = task.evaluator(thorough) if evaluator is None else evaluator

    on_fault, held = loader.on_fault, list[Fault]()
    loader.on_fault = held.append  # until something was read: all may be gone, and then one is told for all

    def tell() -> None:
        loader.on_fault = on_fault
        while held:
            on_fault(held.pop(0))

    def see(seeing: Evaluator[Any], part: tuple[int, int]) -> Generator[int, None, None]:
        with autocast(loader.device, dtype):
            for batch in _batches(loader, batch_size, skip, limit, part):
                tell()
                seeing.update(module, batch)
                yield len(batch)

    try:
        own = _unless(stopped, see(seeing, (world.rank, world.size)))
        seen = sum(filter(None, rounds(own, world)))
        if world.size > 1:
            adds_up = _add_up(seeing, seen, loader, world)
            seen = sum(world.gathered(seen))
            with world.together():
                if not adds_up and world.main:
                    seeing = task.evaluator(thorough)
                    sum(see(seeing, WHOLE))
        if seen:
            tell()
    finally:
        loader.on_fault = on_fault
        module.train(was_training)
    for fault in held[:1]:
        on_fault(fault)
    return seeing, seen


def _unless(stopped: Callable[[], bool], own: Generator[T, None, None]) -> Generator[T | None, None, None]:
    """Yield what another yields, and then None, since others may have more. Raises Stopped where it is asked for."""
    with contextlib.closing(own):
        while True:
            if stopped():
                raise Stopped
            yield next(own, None)


def _add_up(evaluator: Evaluator[Any], seen: int, loader: Loader, world: World) -> bool:
    """Give the evaluator of the first process what all have counted; return whether evaluators count anything."""
    state = {name: tensor.cpu() for name, tensor in evaluator.state().items()}
    if any(world.gathered(seen > 0 and not state)):
        return False
    states = world.gathered(state, only_first=True)
    if world.main:
        total = functools.reduce(add_states, states)
        evaluator.load_state({name: tensor.to(loader.device) for name, tensor in total.items()})
    return True


@torch.no_grad()
def fit_baselines(task: Task[Any], loader: Loader, batch_size: int) -> None:
    """Let the task learn its trivial predictors from evenly spaced training samples, of those with finite pictures."""
    if task.baseline_samples:
        batches = loader.eval_batches(batch_size, limit=task.baseline_samples)
        task.fit_baselines(finite for batch in batches if len(finite := _with_finite_pictures(loader, batch)))


@torch.no_grad()
def evaluate(
    task: Task[Any],
    module: nn.Module,
    loader: Loader,
    split: str,
    batch_size: int,
    dtype: torch.dtype,
    world: World = ALONE,
    stopped: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Return every metric, table and picture of one split, and what was counted. `fit_baselines` comes first.

    Samples for which an output or a metric is not finite are left out like those that cannot be read: the loader's
    `on_fault` is told of each, and the others are measured again. Raises DataError where no other is left, or where
    none can be read.
    Of several processes each measures a part, and the first alone has tables and drawings. Raises Stopped as `measure`.
    """
    measured = partial(measure, task, module, loader, batch_size, dtype, world=world, stopped=stopped)
    faults: dict[int, Fault] = {}
    try:
        with OutputWatch(module) as watch, world.together():
            evaluator, seen = watch.run(measured)
            if not seen:
                raise nothing_read(loader, split)
    except NotFiniteOutput:
        faults = find_faults(task, module, loader, batch_size, dtype, world=world)
        evaluator, seen = measured(skip=faults)
        if not seen:
            raise DataError(
                f"the model's output is not finite for any of the {len(faults):,} samples that can be read, so there "
                "is nothing to measure; look at the range of the data's values, try --precision float32, or train again"
            ) from None
    metrics = world.first(lambda: list(evaluator.metrics()))
    if names := {metric.name for metric in metrics if not math.isfinite(metric.value)}:
        more = find_faults(task, module, loader, batch_size, dtype, names, faults, world)
        if 0 < len(more) < seen:  # of all samples it would say that the metric is never finite
            faults |= more
            evaluator, seen = measured(skip=faults)
            metrics = world.first(lambda: list(evaluator.metrics()))
    modality = loader.preprocess.modality
    found = Evaluation(split=split, num_samples=seen, one=modality.one, many=modality.unit, metrics=tuple(metrics))
    if not world.main:
        return found
    drawings = list(evaluator.drawings())
    module.eval()
    with autocast(loader.device, dtype):
        for batch in _batches(loader, NUM_DRAWN, faults, limit=NUM_DRAWN):
            drawings += task.draw(module, batch)
            break
    return found.model_copy(
        update={
            "finding": evaluator.finding(),
            "tables": tuple(evaluator.tables()),
            "drawings": tuple(drawings),
            "notes": (*task.describe(), *([IN_ONE] if world.size > 1 and not evaluator.state() else [])),
            "counted": counted_of(evaluator, loader.split.keys),
        }
    )


def nothing_read(loader: Loader, split: str) -> DataError:
    """Return what is raised where nothing of a split can be read, so that nothing is measured."""
    return DataError(f"none of the {len(loader.split):,} {split} samples can be read, so there is nothing to measure")


@torch.no_grad()
def find_faults(
    task: Task[Any],
    module: nn.Module,
    loader: Loader,
    batch_size: int,
    dtype: torch.dtype,
    names: Collection[str] = (),
    known: Collection[int] = (),
    world: World = ALONE,
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

    def look() -> Generator[bool, None, None]:
        with autocast(loader.device, dtype), OutputWatch(module) as watch:
            for batch in _batches(loader, batch_size, known, part=(world.rank, world.size)):
                for i, fault in try_samples(watch, batch, by_itself)[1].items():
                    faults[int(batch.draws.ids[i])] = fault
                    loader.on_fault(fault)
                yield True

    for _ in rounds(look(), world):
        pass
    return {index: fault for part in world.gathered(faults) for index, fault in part.items()}


def _batches(
    loader: Loader,
    batch_size: int,
    skip: Collection[int],
    limit: int | None = None,
    part: tuple[int, int] = WHOLE,
) -> Iterator[Batch]:
    """Yield the batches of an evaluation, or a part of them, without the samples at some positions of the split."""
    for batch in loader.eval_batches(batch_size, limit, part):
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
