"""`mae infer`: run a finished run on files."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maecli import __version__
from maecli.data.batch import Batch
from maecli.data.classes.known_labels import KnownLabels
from maecli.data.files.sources import Sources
from maecli.data.randomness import Draws
from maecli.errors import Fault, SpecError
from maecli.hardware import autocast
from maecli.loading.streamed import StreamedLoader
from maecli.outputs.chosen import Choice
from maecli.outputs.faults import SKIPPED, Faults, faults_csv
from maecli.outputs.files_back import FilesBack
from maecli.outputs.folder import CSV, FILES, JSONL, RECORD, REPORT, new_outputs
from maecli.outputs.mask_totals import MaskTotals
from maecli.outputs.named_files import OutputFiles
from maecli.outputs.not_read import NotRead
from maecli.outputs.numbers import Numbers
from maecli.outputs.prediction_writer import PredictionWriter
from maecli.outputs.rows import Row, RowWriter
from maecli.outputs.sentences import SAMPLES, Unit
from maecli.outputs.summary import Summary
from maecli.parallel.lead import call, world
from maecli.parallel.rounds import shared
from maecli.parallel.world import World
from maecli.progress import Progress
from maecli.registry import Registry, registry
from maecli.results import Drawing
from maecli.run.begin.place import output_name
from maecli.run.data.trained_on import trained_on
from maecli.run.directory import runs_dir
from maecli.run.inference.held_out import HeldOut, hold_out
from maecli.run.inference.own_files import open_sources
from maecli.run.inference.page import Predictions, predictions_page
from maecli.run.inference.truth import Truth
from maecli.run.listing import newest_run
from maecli.run.restore import Restored, load_files, restore
from maecli.storage.files import write_bytes, write_json, write_text
from maecli.training.evaluation import NUM_DRAWN
from maecli.training.finite import NOT_FINITE, NotFiniteOutput, OutputWatch, try_samples, without
from maecli.training.task import UNSURE_SHARE, Prediction, Task

NO_CALIBRATION = (
    "this run has no calibration (an older mae made it, or it had no validation samples), so probabilities are as the "
    "network gives them, and nothing is marked unsure"
)
MOST_NAMED = 1000
"""Paths that the record of an inference names."""


@dataclass(frozen=True)
class InferResult:
    """What inference wrote."""

    out: Path
    run: Path
    num_predicted: int
    faults: Collection[Fault]
    not_read: NotRead = field(default_factory=NotRead)
    pictures: tuple[Path, ...] = ()
    """Drawings of the first predictions."""
    unit: Unit = SAMPLES
    part: str = "value"
    """What a part of one is called."""
    summary: Summary = field(default_factory=lambda: Summary(None))
    masks: MaskTotals | None = None
    """What predicted masks say, of a task that predicts some."""
    handed_back: tuple[Path, ...] = ()
    """Files in which what was missing is filled in."""
    held_out: HeldOut = field(default_factory=HeldOut)
    """How well a part of what is there was told, of a task that fills in."""

    @property
    def report(self) -> Path:
        return self.out / REPORT

    @property
    def jsonl(self) -> Path:
        return self.out / JSONL

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of predictions, as they are written."""
        with self.jsonl.open(encoding="utf-8", newline="\n") as lines:
            yield from map(json.loads, lines)


def infer(
    sources: Sources,
    registry: Registry,
    progress: Progress,
    *,
    task: str | None = None,
    run: Path | None = None,
    checkpoint: str = "last",
    base: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
    all_classes: bool = False,
    unsure_share: float = UNSURE_SHARE,
    mark: bool = False,
) -> InferResult:
    """Predict for files, and for every file below folders; write rows, files and a drawing of the first ones.

    The model is `run`, or the newest finished run of `task`. Outputs keep each input's path below `sources.root` and
    full name where the disk takes them; they replace those in `out` when all are there, and not before. Rows go to the
    disk as they are made; of more than 100 classes they tell the 5 most likely, or with `all_classes` all; samples like
    none of the classes are marked, at a cost of `unsure_share` of those that are like one. A task that fills in what is
    missing is first tried on a part of what is there, and hands each file back; with `mark` another one beside it says
    what was filled in. Samples that cannot be read, or whose output is not finite, are left out and listed, and so are
    files that are like samples and of no form that is read; other files are counted by kind.
    Raises DataError when there is no sample, SpecError when `out` holds something else.
    """
    run = run or newest_run(task, registry, progress.say, "--run RUN")
    settings = {"device": device, "precision": precision, "init": base}
    restored = restore(run, registry, progress.say, checkpoint, settings)
    spec, job = restored.spec, restored.task
    if task is not None and task != spec.task.name:
        raise SpecError(f"{run} was trained for task {spec.task.name!r}, not {task!r}")
    if mark and not job.fills:
        raise SpecError(f"--mark is for tasks that fill files in, and {spec.task.name} does not; leave it out")
    job.all_classes, job.unsure_share = all_classes, unsure_share
    for sentence in reliability(job):
        progress.say(sentence)
    faults = Faults()
    unreadable: list[Fault] = []
    own = open_sources(sources, restored.preprocess.for_files(restored.card), restored.card)
    loader = load_files(
        own.split, restored, unreadable.append, batch_size=batch_size, workers=workers, own_size=job.own_size
    )
    keys, not_read = loader.split.keys, own.not_read
    for line in own.lines():
        progress.say(line)
    out = (out or runs_dir() / f"infer-{output_name(run)}").expanduser()

    preprocess, card = restored.preprocess, restored.card
    truth = Truth(own, job, preprocess.modality, card)
    for line in truth.problems():
        progress.say(line)
    first, numbers = FirstPictures(job, truth.labels), Numbers()
    choice = Choice(job.answer, preprocess.modality.pictorial)
    learned = trained_on(restored, registry, own.root, keys)
    summary = Summary(job.answer, learned)
    module = restored.module.eval()
    held_out = hold_out(restored, loader.split, learned, batch_size, workers)
    for line in held_out.lines():
        progress.say(line)
    settled = progress.count(preprocess.modality.unit, len(keys))

    def encode(values: NDArray[Any], source: Path | None) -> tuple[str, bytes]:
        return preprocess.modality.encode(values, card, source)

    def note(row: Row) -> None:
        summary.add(row)
        numbers.add(row)

    inputs = [sources.single] if sources.single else sources.folders
    with new_outputs(out, overwrite, needed=[*(("the input", path) for path in inputs), ("--run", run)]) as stage:
        files = OutputFiles(stage / FILES, out / FILES, preprocess.modality.stem)
        back = FilesBack(files, partial(preprocess.modality.hand_back, card=card), encode, faults.add, mark)
        with (
            progress,
            torch.no_grad(),
            autocast(restored.device, restored.dtype),
            RowWriter(stage / JSONL, stage / CSV, note) as rows,
            PredictionWriter(rows, files, keys, faults.add, encode, back) as writer,
        ):
            processes = call(
                help_infer, run, checkpoint, settings, sources, batch_size, workers, all_classes, unsure_share
            )
            for one in shared(answers(job, module, loader, batch_size, processes), loader, processes):
                left_out = [*unreadable, *one.gone]
                unreadable.clear()
                faults.update(left_out)
                writer.add(_completed(one.made, loader, truth, choice), [fault.path for fault in left_out])
                if one.batch is not None:
                    first.add(one.batch)
                settled(sum(len(batch) for batch, _ in one.made) + len(left_out))
            faults.update(unreadable)
            if unreadable:
                settled(len(unreadable))
            pictures = first.draw(module)
        for line in (*truth.unusable(), *back.notes):
            progress.say(line)
        faults.update(not_read.faults)
        write_text(stage / SKIPPED, faults_csv([*faults, *not_read.apart]))
        for picture in pictures:
            write_bytes(stage / f"{picture.name}.png", picture.png)
        record = {
            "run": str(run),
            "task": spec.task.name,
            "source": str(sources.single or own.root),
            "sources": [str(path) for path in sources.paths[:MOST_NAMED]],
            "predicted": rows.num,
            "skipped": len(faults),
            **summary.record(),
            **held_out.record(),
            **({"masks": truth.masks.record()} if truth.masks is not None else {}),
            **not_read.record(),
            "pictures": [{"file": f"{picture.name}.png", "caption": picture.caption} for picture in pictures],
        }
        write_json(stage / RECORD, record)
        page = Predictions(
            title=f"Predictions of {output_name(run)}",
            out=out,
            split=loader.split,
            card=card.model_copy(update={"value_range": preprocess.modality.file_range(card)}),
            modality=preprocess.modality,
            summary=summary,
            masks=truth.masks,
            known=truth.known,
            choice=choice,
            numbers=numbers,
            drawings=pictures,
            faults=faults,
            held_out=held_out,
            notes=back.notes,
            about=_about(record, restored),
        )
        write_text(stage / REPORT, predictions_page(page))
    drawn = tuple(out / f"{picture.name}.png" for picture in pictures)
    words = Unit(preprocess.modality.one, preprocess.modality.unit), preprocess.modality.part
    handed_back = tuple(out / FILES / name for name in back.written)
    return InferResult(out, run, rows.num, faults, not_read, drawn, *words, summary, truth.masks, handed_back, held_out)


def help_infer(
    run: Path,
    checkpoint: str,
    settings: Mapping[str, Any],
    sources: Sources,
    batch_size: int,
    workers: int | None,
    all_classes: bool,
    unsure_share: float,
) -> None:
    """Do the part of a process beside the first one."""
    with world().together():
        restored = restore(run, registry(), lambda _: None, checkpoint, settings)
        job = restored.task
        job.all_classes, job.unsure_share = all_classes, unsure_share
        own = open_sources(sources, restored.preprocess.for_files(restored.card), restored.card)
        loader = load_files(
            own.split, restored, lambda _: None, batch_size=batch_size, workers=workers, own_size=job.own_size
        )
    with torch.no_grad(), autocast(restored.device, restored.dtype):
        for _ in shared(answers(job, restored.module.eval(), loader, batch_size, world()), loader, world()):
            pass


@dataclass(frozen=True)
class Answers:
    """What was made of one batch."""

    made: Sequence[tuple[Batch, list[Prediction]]]
    """Of processes beside the first one the batches have no tensors, and all files are encoded."""
    gone: Sequence[Fault]
    """Of samples whose output is not finite."""
    batch: Batch | None
    """The samples of the first process."""


def answers(
    task: Task[Any], module: nn.Module, loader: StreamedLoader, batch_size: int, world: World
) -> Iterator[Answers]:
    """Yield what the task makes of this process's share of the batches."""
    with OutputWatch(module) as watch:
        for batch in loader.eval_batches(batch_size, part=(world.rank, world.size)):
            made, gone = try_samples(watch, batch, partial(predict, task, module))
            if not world.main:
                made = [(_without_tensors(part), list(map(_encoded, each))) for part, each in made]
            yield Answers(made, list(gone.values()), without(batch, gone) if world.main else None)


def _without_tensors(batch: Batch) -> Batch:
    return replace(
        batch, tensors={}, draws=Draws(batch.draws.seed, batch.draws.epoch, batch.draws.ids.cpu()), faults=()
    )


def _encoded(one: Prediction) -> Prediction:
    """Return a prediction whose files are bytes, which can be sent."""
    return replace(one, files={name: made() if callable(made) else made for name, made in one.files.items()})


def _about(record: Mapping[str, Any], restored: Restored) -> list[tuple[str, str]]:
    """Return where predictions come from, in words."""
    told = {name: str(record[name]) for name in ("run", "task", "source", "predicted", "skipped")}
    return [*told.items(), ("checkpoint", restored.checkpoint.path.name), ("mae", __version__)]


def reliability(task: Task[Any]) -> Sequence[str]:
    """Return how far the answers of a task are to be believed; nothing where it could not tell anyhow."""
    if task.calibration or task.answer is None or not task.answer.unsure:
        return task.reliability()
    return [NO_CALIBRATION] if task.unsure_share else []


def predict(task: Task[Any], module: nn.Module, batch: Batch) -> list[Prediction]:
    """Return the task's predictions. Raises NotFiniteOutput where a row has a number that is not finite."""
    made = task.predict(module, batch)
    for prediction in made:
        for name, value in prediction.row.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise NotFiniteOutput(f"{NOT_FINITE}: {name} is {value}")
    return made


def _completed(
    made: Iterable[tuple[Batch, list[Prediction]]], loader: StreamedLoader, truth: Truth, choice: Choice
) -> Iterator[tuple[str, Prediction, Path | None]]:
    """Yield each sample's key, its prediction with the truth, and its file where values are to be written like it."""
    for batch, predictions in made:
        for key, index, one in zip(batch.keys, batch.draws.ids.tolist(), predictions, strict=True):
            one = truth.complete(key, one)
            choice.add(index, key, one)
            if not one.values and one.filled is None:
                yield key, one, None
                continue
            if loader.own_size:  # the model saw all of it
                yield key, one, next(iter(loader.split.files(index)), None)
                continue
            shape, in_place = loader.split.size(index), loader.preprocess.in_place
            values = {name: in_place(array, shape) for name, array in one.values.items()}
            filled = None if one.filled is None else in_place(one.filled, shape)
            yield key, replace(one, values=values, filled=filled), next(iter(loader.split.files(index)), None)


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
