"""A task that is looked at, and what it is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.data.card import DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.loading import make_loader
from maecli.loading.loader import Loader
from maecli.modalities.preprocess import Preprocess
from maecli.schema import AugmentSpec, DataSpec
from maecli.testing.small import small_encoder, small_preprocess
from maecli.testing.synthetic import Synthetic
from maecli.training.task import Prediction, Task

BATCH = 6


class TaskSubject:
    """A task that is looked at, with data, a module and batches to try it on."""

    def __init__(
        self, plugin: type[Task[Any]], dataset: Dataset | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        self.plugin, self.dataset, self.settings = plugin, dataset or Synthetic(), dict(options or {})

    @cached_property
    def options(self) -> Any:
        return self.plugin.Options.model_validate(self.settings)

    @cached_property
    def card(self) -> DataCard:
        return self.dataset.card(self.plugin.fields)

    @cached_property
    def preprocess(self) -> Preprocess:
        return small_preprocess(self.card)

    @cached_property
    def task(self) -> Task[Any]:
        return self.plugin(self.options, self.card, self.preprocess)

    @cached_property
    def module(self) -> nn.Module:
        return self.build()

    def build(self, seed: int = 0) -> nn.Module:
        """Return a new module of the task on a new encoder."""
        module: nn.Module = self.task.build(small_encoder(self.preprocess, seed))
        return module

    def loader(self, split: SplitName) -> Loader:
        part = self.dataset.split(split, self.plugin.fields)
        cpu = torch.device("cpu")
        return make_loader(part, self.preprocess, cpu, 0, DataSpec(workers=0), own_size=self.plugin.own_size)

    def fit_baselines(self) -> None:
        limit = self.task.baseline_samples
        if limit:
            self.task.fit_baselines(self.loader("train").eval_batches(BATCH, limit=limit))

    def train_batch(self) -> Batch:
        loader = self.loader("train")
        return next(loader.train_batches(AugmentSpec(), min(BATCH, len(loader.split)), 0, 1))

    def picture_batch(self) -> Batch:
        """Return what inference gives: pictures and nothing else, of train at their own size where that is wanted."""
        batch = next(self.loader("train").eval_batches(BATCH))
        return Batch({"image": batch["image"]}, batch.draws, batch.keys)

    @torch.no_grad()
    def predict(self, batch: Batch, module: nn.Module | None = None) -> list[Prediction]:
        return self.task.predict((module or self.module).eval(), batch)
