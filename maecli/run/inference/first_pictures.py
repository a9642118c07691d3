"""The first samples of an inference, drawn with what was made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.data.classes.known_labels import KnownLabels
from maecli.data.randomness import Draws
from maecli.results import Drawing
from maecli.training.evaluation import NUM_DRAWN
from maecli.training.task import Task


class FirstPictures:
    """The first samples of an inference, kept to be drawn together, with their labels where these are known.

    Nothing is kept of pictures at their own size: they do not stack, and such tasks draw each by itself.
    """

    def __init__(self, task: Task[Any], labels: KnownLabels | None) -> None:
        self.task, self.labels = task, labels
        self.tensors: list[dict[str, Tensor]] = []
        self.keys: list[str] = []
        self.draws: list[Draws] = []

    def add(self, batch: Batch) -> None:
        """Take from a batch what is still wanted."""
        wanted = 0 if self.task.own_size else NUM_DRAWN - len(self.keys)
        if wanted > 0 and len(batch):
            part = next(batch.micro_batches(wanted))
            self.tensors.append({name: tensor.clone() for name, tensor in part.tensors.items()})  # of a larger batch
            self.keys += part.keys
            self.draws.append(part.draws)

    def draw(self, module: nn.Module) -> list[Drawing]:
        """Return the task's drawings of the samples."""
        if not self.keys:
            return []
        tensors = {name: torch.cat([each[name] for each in self.tensors]) for name in self.tensors[0]}
        if self.labels is not None:
            labels = np.stack([self.labels[key] for key in self.keys])
            tensors["label"] = torch.from_numpy(labels).to(tensors["image"].device)
        ids = torch.cat([draws.ids for draws in self.draws])
        draws = Draws(self.draws[0].seed, self.draws[0].epoch, ids)
        return self.task.draw(module, Batch(tensors, draws, self.keys))
