"""What a task makes of a person's own samples, batch by batch, in any number of processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.data.files.sources import Sources
from maecli.data.randomness import Draws
from maecli.errors import Fault
from maecli.hardware import autocast
from maecli.loading.streamed import StreamedLoader
from maecli.parallel.lead import call, world
from maecli.parallel.rounds import shared
from maecli.parallel.world import World
from maecli.registry import Registry, registry
from maecli.run.directory import Say
from maecli.run.inference.own_files import OwnFiles, open_sources
from maecli.run.restore import Restored, load_files, restore
from maecli.training.finite import NOT_FINITE, NotFiniteOutput, OutputWatch, try_samples, without
from maecli.training.task import UNSURE_SHARE, Prediction, Task


@dataclass(frozen=True)
class Answers:
    """What was made of one batch."""

    made: Sequence[tuple[Batch, list[Prediction]]]
    """Of processes beside the first one the batches have no tensors, and all files are encoded."""
    gone: Sequence[Fault]
    """Of samples whose output is not finite."""
    batch: Batch | None
    """The samples of the first process."""


@dataclass(frozen=True)
class Asked:
    """What a model is asked, as every process is told it."""

    sources: Sources
    run: Path
    """A run's directory, a checkpoint, or an exported file."""
    checkpoint: str = "last"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted keys that lie over the recorded spec."""
    batch_size: int = 64
    workers: int | None = None
    all_classes: bool = False
    unsure_share: float = UNSURE_SHARE

    def restore(self, registry: Registry, say: Say) -> Restored:
        """Return the model, whose task answers as it is asked to."""
        restored = restore(self.run, registry, say, self.checkpoint, self.settings)
        restored.task.all_classes, restored.task.unsure_share = self.all_classes, self.unsure_share
        restored.module.eval()
        return restored

    def open(self, restored: Restored, on_fault: Callable[[Fault], None]) -> tuple[OwnFiles, StreamedLoader]:
        """Return the samples, and what loads them for the model. Raises DataError where there are none."""
        own = open_sources(self.sources, restored.preprocess.for_files(restored.card), restored.card)
        size, own_size = self.batch_size, restored.task.own_size
        return own, load_files(own.split, restored, on_fault, batch_size=size, workers=self.workers, own_size=own_size)

    def answers(self, restored: Restored, loader: StreamedLoader) -> Iterator[Answers]:
        """Yield, in the first process, what all processes make of all samples."""
        return shared(self._own_answers(restored, loader, call(Asked.help, self)), loader, world())

    def help(self) -> None:
        """Make this process's share of the answers, beside the first one."""
        with world().together():
            restored = self.restore(registry(), lambda _: None)
            _, loader = self.open(restored, lambda _: None)
        with torch.no_grad(), autocast(restored.device, restored.dtype):
            for _ in shared(self._own_answers(restored, loader, world()), loader, world()):
                pass

    def _own_answers(
        self, restored: Restored, loader: StreamedLoader, processes: World
    ) -> Generator[Answers, None, None]:
        """Yield what this process makes of its share of the batches."""
        with OutputWatch(restored.module) as watch:
            for batch in loader.eval_batches(self.batch_size, part=(processes.rank, processes.size)):
                made, gone = try_samples(watch, batch, partial(predict, restored.task, restored.module))
                if not processes.main:
                    made = [(_without_tensors(part), list(map(_encoded, each))) for part, each in made]
                yield Answers(made, list(gone.values()), without(batch, gone) if processes.main else None)


def _without_tensors(batch: Batch) -> Batch:
    return replace(
        batch, tensors={}, draws=Draws(batch.draws.seed, batch.draws.epoch, batch.draws.ids.cpu()), faults=()
    )


def _encoded(one: Prediction) -> Prediction:
    """Return a prediction whose files are bytes, which can be sent."""
    return replace(one, files={name: made() if callable(made) else made for name, made in one.files.items()})


def predict(task: Task[Any], module: nn.Module, batch: Batch) -> list[Prediction]:
    """Return the task's predictions. Raises NotFiniteOutput where a row has a number that is not finite."""
    made = task.predict(module, batch)
    for prediction in made:
        for name, value in prediction.row.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise NotFiniteOutput(f"{NOT_FINITE}: {name} is {value}")
    return made
