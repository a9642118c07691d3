"""A frozen encoder makes the same of an unchanged sample in every epoch, so it is asked once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.data.sample import TensorSplit
from maecli.hardware import autocast
from maecli.loading.loader import Job, Loader
from maecli.loading.resident import sent
from maecli.schema import AugmentSpec
from maecli.training.loop.trainer import Trainer
from maecli.training.task import Task

REPLACED = ("image", "valid")
FIELD = "features"
"""What batches of features carry in place of `REPLACED`."""
MAX_BYTES = 8 << 30
"""Features that would take more memory are not kept."""


class FeatureLoader(Loader):
    """Batches of what was computed before, on the device; they need no work."""

    @cached_property
    def _tensors(self) -> dict[str, torch.Tensor]:
        assert isinstance(self.split, TensorSplit)
        return {name: tensor.to(self.device) for name, tensor in self.split.tensors.items()}

    def _fetch(self, plan: Iterator[Job], spec: AugmentSpec | None) -> Iterator[Batch]:
        for epoch, visits in plan:
            where = sent(visits % len(self.split), self.device)
            tensors = {name: tensor[where] for name, tensor in self._tensors.items()}
            keys = [self.split.keys[i] for i in visits] if spec is None else ()
            yield Batch(tensors, self._draws(epoch, sent(visits, self.device)), keys)

    def _finish(self, batch: Batch, spec: AugmentSpec | None) -> Batch:
        return batch


def ask_frozen_encoder(trainer: Trainer, limit: int | None = None) -> bool:
    """Compute what a frozen encoder makes of samples that nothing augments; return whether the task wants just that.

    The trainer has its weights. `limit`: see `computed_once`.
    """
    spec, pictures = trainer.spec, trainer.train_loader
    if not spec.train.freeze or not spec.augment.changes_nothing or _cuts_parts(trainer):
        return False
    task, module, dtype = trainer.task, trainer.module, trainer.dtype
    features = computed_once(task, module, pictures, spec.train.batch_size, dtype, limit)
    if len(features.split) < min(
        spec.train.batch_size, len(pictures.split)
    ):  # so many files cannot be read; others stand in for those
        return False
    trainer.train_loader = features
    if trainer.val_loader is not None:
        trainer.val_loader = computed_once(task, module, trainer.val_loader, spec.train.batch_size, dtype, limit)
    return trainer.train_loader is not pictures


def _cuts_parts(trainer: Trainer) -> bool:
    """Whether training sees other parts of samples in each epoch: where they are cut, and may be larger than a part."""
    preprocess = trainer.train_loader.preprocess
    return preprocess.how == "crop" and trainer.task.card.size != preprocess.img_size


@torch.no_grad()
def computed_once(
    task: Task[Any], module: nn.Module, loader: Loader, batch_size: int, dtype: torch.dtype, limit: int | None = None
) -> Loader:
    """Return a loader of the samples' `features`, or the given one where the task wants pictures, or memory is short.

    With `limit`, the features of so many samples stand for all: a dry run needs no more.
    """
    was_training = module.training
    module.eval()
    parts: list[dict[str, torch.Tensor]] = []
    keys: list[str] = []
    for batch in loader.eval_batches(batch_size, limit):
        with autocast(loader.device, dtype):
            features = task.frozen_features(module, batch)
        if features is None or features[0].nbytes * len(loader.split) > MAX_BYTES:
            module.train(was_training)
            return loader
        parts.append({**{name: batch[name] for name in batch.tensors if name not in REPLACED}, FIELD: features})
        keys += batch.keys
    module.train(was_training)
    if not parts:
        return loader
    tensors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    if limit is not None:
        stand_ins = torch.arange(len(loader.split), device=loader.device) % len(keys)
        tensors = {name: tensor[stand_ins] for name, tensor in tensors.items()}
        keys = list(loader.split.keys)
    split, chances = TensorSplit(tensors, keys), loader.chances
    if chances is not None:  # of those that could be read
        by_key = dict(zip(loader.split.keys, chances.tolist(), strict=True))
        chances = np.array([by_key[key] for key in keys])
    return FeatureLoader(split, loader.preprocess, loader.device, loader.seed, loader.on_fault, chances=chances)
