"""`mae infer`: run a finished run on files."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from maecli import __version__
from maecli.data.batch import Batch
from maecli.data.files.sources import Sources
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
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.results import Drawing
from maecli.run.begin.place import output_name
from maecli.run.data.trained_on import trained_on
from maecli.run.directory import runs_dir
from maecli.run.inference.answers import Asked
from maecli.run.inference.first_pictures import FirstPictures
from maecli.run.inference.held_out import HeldOut, hold_out
from maecli.run.inference.page import Predictions, predictions_page
from maecli.run.inference.truth import Truth
from maecli.run.listing import newest_run
from maecli.run.restore import Restored
from maecli.storage.files import write_bytes, write_json, write_text
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
    asked = Asked(sources, run, checkpoint, settings, batch_size, workers, all_classes, unsure_share)
    restored = asked.restore(registry, progress.say)
    if task is not None and task != restored.spec.task.name:
        raise SpecError(f"{run} was trained for task {restored.spec.task.name!r}, not {task!r}")
    if mark and not restored.task.fills:
        raise SpecError(f"--mark is for tasks that fill files in, and {restored.spec.task.name} does not; leave it out")
    inference = Inference(asked, restored, registry, progress)
    out = (out or runs_dir() / f"infer-{output_name(run)}").expanduser()
    inputs = [sources.single] if sources.single else sources.folders
    with new_outputs(out, overwrite, needed=[*(("the input", path) for path in inputs), ("--run", run)]) as stage:
        inference.predict(stage, out, mark)
        inference.describe(stage, out)
    return inference.result(out)


class Inference:
    """One model on one person's files: what it makes of them, and what is known of that so far.

    It says what is to be known beforehand as it is made: how far answers are to be believed, what is not read, and how
    well a part of what is there was told.
    """

    def __init__(self, asked: Asked, restored: Restored, registry: Registry, progress: Progress) -> None:
        self.asked, self.restored, self.progress = asked, restored, progress
        self.task, self.modality, self.card = restored.task, restored.preprocess.modality, restored.card
        self.faults, self.numbers = Faults(), Numbers()
        self.drawings: list[Drawing] = []
        self.back: FilesBack | None = None
        self._unreadable: list[Fault] = []
        self._say(reliability(self.task))
        self.own, self.loader = asked.open(restored, self._unreadable.append)
        self._say(self.own.lines())
        self.truth = Truth(self.own, self.task, self.modality, self.card)
        self._say(self.truth.problems())
        self.choice = Choice(self.task.answer, self.modality.pictorial)
        learned = trained_on(restored, registry, self.own.root, self.loader.split.keys)
        self.summary = Summary(self.task.answer, learned)
        self.held_out = hold_out(restored, self.loader.split, learned, asked.batch_size, asked.workers)
        self._say(self.held_out.lines())

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.progress.say(line)

    def predict(self, stage: Path, out: Path, mark: bool) -> None:
        """Write rows and files of all samples into a folder, whose name will be `out`; draw the first samples."""
        restored, loader, keys = self.restored, self.loader, self.loader.split.keys
        files = OutputFiles(stage / FILES, out / FILES, self.modality.stem)
        hand_back = partial(self.modality.hand_back, card=self.card)
        self.back = FilesBack(files, hand_back, self._encode, self.faults.add, mark)
        first = FirstPictures(self.task, self.truth.labels)
        settled = self.progress.count(self.modality.unit, len(keys))
        with (
            self.progress,
            torch.no_grad(),
            autocast(restored.device, restored.dtype),
            RowWriter(stage / JSONL, stage / CSV, self._note) as rows,
            PredictionWriter(rows, files, keys, self.faults.add, self._encode, self.back) as writer,
        ):
            for one in self.asked.answers(restored, loader):
                left_out = [*self._new_faults(), *one.gone]
                self.faults.update(left_out)
                writer.add(_completed(one.made, loader, self.truth, self.choice), [fault.path for fault in left_out])
                if one.batch is not None:
                    first.add(one.batch)
                settled(sum(len(batch) for batch, _ in one.made) + len(left_out))
            if last := self._new_faults():
                self.faults.update(last)
                settled(len(last))
            self.drawings = first.draw(restored.module)
        self._say([*self.truth.unusable(), *self.back.notes])
        self.faults.update(self.own.not_read.faults)

    def _new_faults(self) -> list[Fault]:
        """Return the samples that could not be read since the last call."""
        new = [*self._unreadable]
        self._unreadable.clear()
        return new

    def _encode(self, values: NDArray[Any], source: Path | None) -> tuple[str, bytes]:
        return self.modality.encode(values, self.card, source)

    def _note(self, row: Row) -> None:
        self.summary.add(row)
        self.numbers.add(row)

    def describe(self, stage: Path, out: Path) -> None:
        """Write drawings, the list of what was left out, the record and the page."""
        write_text(stage / SKIPPED, faults_csv([*self.faults, *self.own.not_read.apart]))
        for drawing in self.drawings:
            write_bytes(stage / f"{drawing.name}.png", drawing.png)
        record = self._record()
        write_json(stage / RECORD, record)
        write_text(stage / REPORT, predictions_page(self._page(out, record)))

    def _record(self) -> dict[str, Any]:
        masks = self.truth.masks
        return {
            "run": str(self.asked.run),
            "task": self.restored.spec.task.name,
            "source": str(self.asked.sources.single or self.own.root),
            "sources": [str(path) for path in self.asked.sources.paths[:MOST_NAMED]],
            "predicted": self.summary.num,
            "skipped": len(self.faults),
            **self.summary.record(),
            **self.held_out.record(),
            **({"masks": masks.record()} if masks is not None else {}),
            **self.own.not_read.record(),
            "pictures": [{"file": f"{drawing.name}.png", "caption": drawing.caption} for drawing in self.drawings],
        }

    def _page(self, out: Path, record: Mapping[str, Any]) -> Predictions:
        return Predictions(
            title=f"Predictions of {output_name(self.asked.run)}",
            out=out,
            split=self.loader.split,
            card=self.card.model_copy(update={"value_range": self.modality.file_range(self.card)}),
            modality=self.modality,
            summary=self.summary,
            masks=self.truth.masks,
            known=self.truth.known,
            choice=self.choice,
            numbers=self.numbers,
            drawings=self.drawings,
            faults=self.faults,
            held_out=self.held_out,
            notes=self.back.notes if self.back is not None else (),
            about=_about(record, self.restored),
        )

    def result(self, out: Path) -> InferResult:
        return InferResult(
            out,
            self.asked.run,
            self.summary.num,
            self.faults,
            self.own.not_read,
            tuple(out / f"{drawing.name}.png" for drawing in self.drawings),
            Unit(self.modality.one, self.modality.unit),
            self.modality.part,
            self.summary,
            self.truth.masks,
            tuple(out / FILES / name for name in self.back.written) if self.back is not None else (),
            self.held_out,
        )


def _about(record: Mapping[str, Any], restored: Restored) -> list[tuple[str, str]]:
    """Return where predictions come from, in words."""
    told = {name: str(record[name]) for name in ("run", "task", "source", "predicted", "skipped")}
    return [*told.items(), ("checkpoint", restored.checkpoint.path.name), ("mae", __version__)]


def reliability(task: Task[Any]) -> Sequence[str]:
    """Return how far the answers of a task are to be believed; nothing where it could not tell anyhow."""
    if task.calibration or task.answer is None or not task.answer.unsure:
        return task.reliability()
    return [NO_CALIBRATION] if task.unsure_share else []


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
