"""What a format is handed of a run.

Shapes: C channels, S spatial axes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from maecli.data.card import DataCard
from maecli.exporting.compare import Agreement, compared, worst
from maecli.exporting.graph import Graph
from maecli.exporting.raw import RawInput
from maecli.modalities.preprocess import Preprocess
from maecli.schema import RunSpec
from maecli.training.task import Task

RECORD = "mae"
"""The entry of a file's metadata that holds the record, as JSON: what `mae eval` and `mae infer` need of the run."""


GRAPH_TOLERANCE = 0.02
"""How far answers may be where a picture was resized in the graph: a level of 255 in a few of its pixels."""


@dataclass(frozen=True)
class ExportSample:
    """One sample, raw and as the model sees it."""

    raw: Tensor
    """(C, *S), as the file takes it; see `RawInput`."""
    x: Tensor
    """(in_chans, *S) normalised, as the run's own evaluation has it."""
    valid: Tensor | None
    """Which of its cells exist (in_chans, *S); None where all do."""


@dataclass(frozen=True)
class ExportedModel:
    """A trained module with all that is to be known of it, and samples to try it on."""

    name: str
    """Of the run."""
    module: nn.Module
    """What the task built, in float32 on the CPU, in eval mode; its weights are those to use."""
    task: Task[Any]
    spec: RunSpec
    card: DataCard
    preprocess: Preprocess
    record: Mapping[str, Any]
    """What a checkpoint records: verb, task, spec, card, preprocess, plugins, and the calibration, in plain values."""
    samples: Sequence[ExportSample]
    """A few, at their own sizes where the file takes any."""
    samples_are: str
    """What they are, in words: 32 pictures of validation of digits."""

    @cached_property
    def raw(self) -> RawInput:
        """What goes into a file that holds the graph. Raises SpecError for samples that it cannot take."""
        return RawInput.of(self.preprocess, self.card, self.task.own_size)

    @cached_property
    def graph(self) -> Graph:
        """What a file computes. Raises SpecError where the task, or the kind of samples, has no graph."""
        return Graph(self.raw, self.task.export(self.module), self.task.own_size).eval()

    def batches(self) -> Iterator[Tensor]:
        """Yield the raw samples (B, C, *S), those of one size together."""
        by_size: dict[tuple[int, ...], list[Tensor]] = {}
        for sample in self.samples:
            by_size.setdefault(tuple(sample.raw.shape), []).append(sample.raw)
        yield from map(torch.stack, by_size.values())

    @cached_property
    def answers(self) -> Sequence[Mapping[str, Tensor]]:
        """What the graph makes of each of `batches`."""
        with torch.no_grad():
            return [self.graph(batch) for batch in self.batches()]

    def compare(self, run: Callable[[Tensor], Mapping[str, Tensor]], tolerance: float) -> list[Agreement]:
        """Return how far the answers of a file that computes the graph are from the graph's own, at the worst."""
        pairs = zip(self.answers, map(run, self.batches()), strict=True)
        return worst([one for ours, theirs in pairs for one in compared(ours, theirs, tolerance)])

    def compare_graph(self) -> list[Agreement]:
        """Return how far the graph's answers are from those of the run's own evaluation, which resizes otherwise."""
        found = []
        with torch.no_grad():
            for sample in self.samples:
                valid = None if sample.valid is None else sample.valid[None]
                ours, graph = self.graph.outputs(sample.x[None], valid), self.graph(sample.raw[None])
                found += compared(ours, graph, GRAPH_TOLERANCE)
        return worst(found)

    def metadata(self) -> dict[str, str]:
        """Return what is told in a file beside the weights: a few facts for people, and the record as JSON."""
        preprocess, card = self.preprocess, self.card
        told: dict[str, Any] = {
            "run": self.name,
            "task": self.task.name,
            "classes": card.mask_classes if "mask" in self.task.fields else card.classes,
            "targets": card.targets,
            "img_size": preprocess.img_size,
            "mean": preprocess.mean,
            "std": preprocess.std,
            "value_range": preprocess.for_files(card).value_range,
            "data": card.title,
            "licence of the data": card.licence,
        }
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items() if value}
        return {**texts, RECORD: json.dumps(self.record)}

    def graph_metadata(self) -> dict[str, str]:
        """Return `metadata` of a file that holds the graph: also what goes in, and what comes out."""
        outputs = self.graph.outputs
        told: dict[str, Any] = {
            "input": self.raw.describe(),
            "outputs": dict(outputs.names),
            "module_output": outputs.module_output,
            "can_be_measured": outputs.can_be_measured,
        }
        facts = {"input": told["input"], "outputs": json.dumps(told["outputs"], ensure_ascii=False)}
        return self.metadata() | facts | {RECORD: json.dumps({**self.record, "graph": told})}
