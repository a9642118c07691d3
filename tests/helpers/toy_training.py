"""A trainer whose module is a linear layer, and whose runs take milliseconds."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.data.sample import TensorSplit
from maecli.errors import Interrupted
from maecli.loading.resident import ResidentLoader
from maecli.modalities.preprocess import Preprocess
from maecli.results import Metric
from maecli.schema import PluginSection, PretrainSpec
from maecli.training.checkpoint import Checkpoint
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.evaluator import Evaluator
from maecli.training.loop.trainer import Trainer
from maecli.training.task import Prediction, Task
from maecli.training.tracker import Tracker

CPU = torch.device("cpu")

NUM_TRAIN = 12


class Brightness(Task[nn.Linear]):
    """Predict a picture's mean from its four pixels, with noise from torch's generator on the way."""

    name = "brightness"
    verb = "pretrain"
    monitor = "error"

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise
        self.measured: list[float] = []

    def build(self, encoder: Any) -> nn.Linear:
        raise NotImplementedError

    def loss(self, module: nn.Linear, batch: Batch) -> Tensor:
        x = batch["image"].flatten(1)  # (B, 4)
        return (module(x + self.noise * torch.randn_like(x)).squeeze(1) - x.mean(1)).square().mean()

    def evaluator(self, thorough: bool = True) -> Evaluator[nn.Linear]:
        return Error(self)

    def predict(self, module: nn.Linear, batch: Batch) -> list[Prediction]:
        raise NotImplementedError


class Error(Evaluator[nn.Linear]):
    def __init__(self, task: Brightness) -> None:
        self.task, self.value = task, 0.0

    def update(self, module: nn.Linear, batch: Batch) -> None:
        assert not module.training
        self.value += float(self.task.loss(module, batch))

    def metrics(self) -> Sequence[Metric]:
        value = self.task.measured.pop(0) if self.task.measured else self.value
        return [Metric(name="error", label="error", value=value, better="lower")]


class Notes(Tracker):
    name = "notes"

    def __init__(self, run_dir: Path, spec: Mapping[str, Any], start_step: int) -> None:
        super().__init__(run_dir, spec, start_step)
        self.records: list[tuple[int, dict[str, float]]] = []

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.records.append((step, dict(metrics)))


def loader(num: int) -> ResidentLoader:
    images = torch.randint(0, 256, (num, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(num))
    preprocess = Preprocess((2, 2), 1, (0.0, 255.0), (0.5,), (0.25,))
    return ResidentLoader(TensorSplit({"image": images}), preprocess, CPU, 0)


def spec(**settings: Any) -> PretrainSpec:
    train = {"epochs": 3, "batch_size": 4, "base_lr": 1.0, "ema_decay": 0.9} | settings.pop("train", {})
    plugin = PluginSection(name="toy")
    checkpoint = {"every_epochs": settings.pop("save_epochs", 1.0)}
    return PretrainSpec.model_validate(
        {"dataset": plugin, "task": plugin, "model": plugin, "log_every_steps": 1}
        | {"train": train, "checkpoint": checkpoint}
        | settings
    )


def make(
    folder: Path | None = None,
    task: Brightness | None = None,
    num_val: int = 5,
    num: int = NUM_TRAIN,
    module: nn.Module | None = None,
    **settings: Any,
) -> Trainer:
    torch.manual_seed(0)
    checkpoints = None
    if folder is not None:
        (folder / "checkpoints").mkdir(exist_ok=True)
        checkpoints = CheckpointFolder(folder / "checkpoints")
    trackers = (Notes(folder or Path(), {}, 0),)
    return Trainer(
        *(
            task or Brightness(),
            module or nn.Linear(4, 1),
            spec(**settings),
            loader(num),
            loader(num_val),
            torch.float32,
        ),
        checkpoints=checkpoints,
        trackers=trackers,
    )


def records(trainer: Trainer, name: str) -> list[tuple[int, float]]:
    notes = trainer.trackers[0]
    assert isinstance(notes, Notes)
    return [(step, metrics[name]) for step, metrics in notes.records if name in metrics]


def weights(trainer: Trainer) -> list[Tensor]:
    assert trainer.learner.average is not None
    return [*trainer.module.state_dict().values(), *trainer.learner.average.module.state_dict().values()]


def fit_and_stop(trainer: Trainer, stop: int) -> None:
    """Train until a signal comes in step `stop`, which is saved then."""
    step = trainer.train_step

    def stopping(batch: Batch) -> None:
        step(batch)
        if trainer.step + 1 == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.train_step = stopping  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match=rf"^saved at step {stop}; --resume goes on from there$"):
        trainer.fit()


def last_of(run: Path) -> Checkpoint:
    """Return the checkpoint that a run goes on from."""
    last = CheckpointFolder(run / "checkpoints").pointed("last")
    assert last is not None
    return last
