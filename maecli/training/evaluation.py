"""Measuring a module on one split, and drawing what it does there."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from maecli.data.loading import Loader
from maecli.hardware import autocast
from maecli.results import Evaluation
from maecli.training.task import Evaluator, Task

NUM_DRAWN = 36
"""How many evenly spaced samples a task gets to draw."""


@torch.no_grad()
def measure(
    task: Task[Any], module: nn.Module, loader: Loader, batch_size: int, dtype: torch.dtype, thorough: bool = True
) -> tuple[Evaluator[Any], int]:
    """Return an evaluator that has seen the whole split, and the number of samples."""
    was_training = module.training
    module.eval()
    evaluator, seen = task.evaluator(thorough), 0
    with autocast(loader.device, dtype):
        for batch in loader.eval_batches(batch_size):
            evaluator.update(module, batch)
            seen += len(batch)
    module.train(was_training)
    return evaluator, seen


@torch.no_grad()
def fit_twins(task: Task[Any], loader: Loader, batch_size: int) -> None:
    """Let the task learn its trivial predictors from evenly spaced training samples."""
    if task.twin_samples:
        task.fit_twins(loader.eval_batches(batch_size, limit=task.twin_samples))


@torch.no_grad()
def evaluate(
    task: Task[Any], module: nn.Module, loader: Loader, split: str, batch_size: int, dtype: torch.dtype
) -> Evaluation:
    """Return every figure, table and picture of one split. `fit_twins` comes first."""
    evaluator, seen = measure(task, module, loader, batch_size, dtype)
    pictures = list(evaluator.pictures())
    module.eval()
    with autocast(loader.device, dtype):
        for batch in loader.eval_batches(NUM_DRAWN, limit=NUM_DRAWN):
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
