"""How far the outputs of a run are to be believed: learnt by its task once training ended, kept with the weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from maecli.hardware import autocast
from maecli.run.open import Built, build_module
from maecli.run.restore import load_exactly
from maecli.training.checkpoint import Checkpoint
from maecli.training.checkpoint_folder import CheckpointFolder

MOST_SAMPLES = 10_000
"""Of a split of more, so many evenly spaced ones tell enough."""


def calibrate_run(built: Built, module: nn.Module, checkpoints: CheckpointFolder) -> None:
    """Calibrate the last checkpoint, which holds the module's weights, and the best if it is another.

    The task works with the calibration of the last one from now on.
    """
    last, best = checkpoints.pointed("last"), checkpoints.pointed("best")
    if last is None:
        return
    built.task.calibration = calibrate(built, module)
    checkpoints.calibrate(last, built.task.calibration)
    if best is not None and best.path != last.path and built.task.calibration:
        checkpoints.calibrate(best, calibrate(built, _module_of(best, built)))


@torch.no_grad()
def calibrate(built: Built, module: nn.Module) -> Mapping[str, Tensor]:
    """Return what the task makes of a module's outputs; nothing without validation samples."""
    train, val, size = built.loader("train"), built.loader("val"), built.spec.train.batch_size
    if not len(val.split):
        return {}
    with autocast(built.device, built.dtype):
        parts = (loader.eval_batches(size, MOST_SAMPLES) for loader in (train, val))
        return built.task.calibrate(module.eval(), *parts)


def _module_of(checkpoint: Checkpoint, built: Built) -> nn.Module:
    _, module = build_module(built.spec, built.card, built.preprocess, built.data.registry)
    load_exactly(module, checkpoint.tensors(), str(checkpoint.path))
    return module.to(built.device)
