"""A batch in micro-batches teaches what the whole batch does."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from toy_training import CPU, make

from maecli.data.batch import Batch
from maecli.training.loop.learner import Learner
from maecli.training.task import Task


def assert_parts_teach_the_whole(task: Task[Any], module: nn.Module, batch: Batch) -> None:
    """Loss and gradients of a batch are the same in micro-batches of 2 and of 4 samples."""
    whole = _learnt(task, module, batch, len(batch))
    assert float(whole[0]) > 0
    for size in (2, 4):
        for part, all_of_it in zip(_learnt(task, module, batch, size), whole, strict=True):
            torch.testing.assert_close(part, all_of_it, rtol=1e-4, atol=1e-6)


def _learnt(task: Task[Any], module: nn.Module, batch: Batch, size: int) -> list[Tensor]:
    learner = Learner(copy.deepcopy(module), make().spec, CPU, torch.float32)
    loss = learner.learn(task.loss, task.loss_weight, list(batch.micro_batches(size)), len(batch), 0.1, 0)
    return [loss, *(state["exp_avg"] for state in learner.optimizer.state.values())]
