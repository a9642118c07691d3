"""What a task promises. It is tried on a small transformer and a few pictures.

Shapes: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.data.card import DataCard, SplitName
from maecli.data.dataset import Dataset
from maecli.loading import make_loader
from maecli.loading.loader import Loader
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.plugin_options import Options
from maecli.results import Drawing, Metric
from maecli.schema import SPECS, AugmentSpec, DataSpec
from maecli.testing.finding import Broken, Finding, NotLookedAt, Stages, describe_error, expect, find_all, must_work
from maecli.testing.gradients import check_step
from maecli.testing.imports import imports
from maecli.testing.options import check_class, check_options, spec
from maecli.testing.saving import hand_over
from maecli.testing.small import small_encoder, small_preprocess
from maecli.testing.synthetic import Synthetic
from maecli.text import brief, some
from maecli.training.evaluator import Evaluator, add_states
from maecli.training.task import Answer, Prediction, SideBySide, Task

BATCH = 6
PNG = b"\x89PNG\r\n\x1a\n"
PLAIN = (str, int, float, bool)


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


def options(subject: TaskSubject) -> None:
    """The class says what it is, and of what; each option has a default and a description."""
    plugin = subject.plugin
    check_class(plugin)
    check_options(plugin, Options)
    expect(
        plugin.verb in SPECS,
        f"{plugin.__name__}.verb is {plugin.verb!r}; write one of {', '.join(SPECS)}, the verb that trains it",
    )
    expect(
        isinstance(plugin.fields, tuple) and "image" in plugin.fields,
        f'{plugin.__name__}.fields is {plugin.fields!r}; write a tuple with "image" and what else a sample must carry',
    )
    unknown = sorted(set(plugin.on_whole_pictures) - set(plugin.Options.model_fields))
    expect(not unknown, f"{plugin.__name__}.on_whole_pictures names {some(unknown)}, which is none of its options")
    unknown = sorted(set(plugin.head_options) - set(plugin.Options.model_fields))
    expect(not unknown, f"{plugin.__name__}.head_options names {some(unknown)}, which is none of its options")


def build(subject: TaskSubject) -> None:
    """The task accepts the data, and builds a module that holds the encoder."""
    fields = [field for field in subject.plugin.fields if field not in subject.card.fields]
    expect(
        not fields,
        f"{subject.card.name} has no {some(fields)} to try {subject.plugin.name} on; give the kit a data set that has: "
        f"override dataset(self, tmp_path), or write `mae plugins check task.{subject.plugin.name} --dataset NAME`",
    )
    what = f"{subject.plugin.name} cannot be built for {subject.card.name} with {subject.settings or 'its defaults'}"
    with must_work(what, "build a module for any encoder, or give the kit a data set and options that suit"):
        module = subject.module
    expect(isinstance(module, nn.Module), f"build() returns {type(module).__name__}; return the nn.Module to train")
    encoder = getattr(module, "encoder", None)
    expect(
        isinstance(encoder, Encoder),
        f"the module of {subject.plugin.name} has no attribute `encoder`; keep the encoder there, since weights are "
        "taken from it and given to it by that name",
    )
    modules = [name for name, value in vars(subject.task).items() if isinstance(value, nn.Module | nn.Parameter)]
    expect(
        not modules,
        f"the task itself holds {some(modules)}; put what learns into the module, since only that is trained and saved",
    )


def class_rows(subject: TaskSubject) -> None:
    """Tensors that are said to have a row for each class have so many rows, and are not the encoder's."""
    tensors, card = subject.module.state_dict(), subject.card
    classes = {"label": card.classes, "mask": card.mask_classes}
    for name, field in subject.task.class_rows(subject.module).items():
        expect(
            name in tensors and not name.startswith("encoder."),
            f"class_rows() names {name!r}, which is no tensor of the module beside its encoder; it has "
            f"{some(other for other in tensors if not other.startswith('encoder.'))}",
        )
        expect(field in classes, f'class_rows() says {field!r} of {name!r}; say "label" or "mask"')
        shape, num = tuple(tensors[name].shape), len(classes[field])
        expect(
            shape[:1] == (num,),
            f"class_rows(): {name!r} has the shape {shape} for {num} classes of the field {field}; name only tensors "
            "whose first axis is the classes",
        )


def training(subject: TaskSubject) -> None:
    """One step has a finite loss, and its gradients reach every parameter that learns."""
    batch, module = subject.train_batch(), subject.build().train()
    check_step(subject.plugin.name, module, lambda: subject.task.loss(module, batch))


def repeatable(subject: TaskSubject) -> None:
    """The loss of one batch is the same when the same step is done again."""
    batch, module, losses = subject.train_batch(), subject.build().train(), []
    for _ in range(2):
        torch.manual_seed(0)
        losses.append(float(subject.task.loss(module, batch).detach()))
    expect(
        losses[0] == losses[1],
        f"the loss of one batch is {losses[0]:.6g} and then {losses[1]:.6g}; take random numbers from batch.draws or "
        "from torch's generator, which is seeded for every step, so that a resumed run goes on as it would have",
    )


class Shell(nn.Module):
    """Hands on what it is called with, and has no attribute of what it holds: so do wrappers of several processes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.calls = module, 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.module(*args, **kwargs)


def wrapped(subject: TaskSubject) -> None:
    """The loss calls its module once, and takes nothing else of it."""
    name, batch, shell = subject.plugin.name, subject.train_batch(), Shell(subject.build().train())
    with must_work(
        f"the loss of {name} must do with calling its module, which may be wrapped",
        "keep in build() what it has to know of the encoder",
    ):
        subject.task.loss(shell, batch)
    expect(
        shell.calls == 1,
        f"the loss of {name} calls its module {shell.calls} times; call it once, with all that it needs: a wrapper of "
        "several processes counts on that",
    )


def frozen(subject: TaskSubject) -> None:
    """Features that a frozen encoder computed before teach a head what pictures teach it."""
    task, batch = subject.task, subject.train_batch()
    encoder = small_encoder(subject.preprocess, 0)
    encoder.freeze()
    try:
        module: nn.Module = task.build(encoder)
    except Exception as error:
        raise NotLookedAt(f"{subject.plugin.name} takes no frozen encoder: {describe_error(error)}") from error
    with torch.no_grad():
        features = task.frozen_features(module.eval(), batch)
    if features is None:
        return
    others = {name: tensor for name, tensor in batch.tensors.items() if name != "image"}
    learning = {name: value for name, value in module.train().named_parameters() if value.requires_grad}
    slopes = []
    for example in (batch, Batch({**others, "features": features}, batch.draws)):
        torch.manual_seed(0)
        slopes.append(torch.autograd.grad(task.loss(module, example), list(learning.values())))
    apart = [
        name
        for name, one, other in zip(learning, *slopes, strict=True)
        if float((one - other).norm()) > 1e-3 * float(one.norm()) + 1e-6
    ]
    expect(
        not apart,
        f"{some(apart)} learns one thing from pictures and another from what frozen_features() returns; return all "
        "that the loss needs of a picture, or None where it needs the picture itself",
    )


def evaluation(subject: TaskSubject) -> None:
    """Metrics are finite numbers with baselines beside them; the monitored one is always among them."""
    task, module = subject.task, subject.module.eval()
    with torch.no_grad():
        subject.fit_baselines()
        for thorough in (True, False):
            evaluator: Evaluator[Any] = task.evaluator(thorough)
            for batch in subject.loader("val").eval_batches(BATCH):
                evaluator.update(module, batch)
            _check_metrics(subject, list(evaluator.metrics()), thorough)
            if thorough:
                json.dumps([table.model_dump(mode="json") for table in evaluator.tables()])
                _check_pictures("evaluator().drawings()", evaluator.drawings())


def adding(subject: TaskSubject) -> None:
    """What evaluators count of parts of a split adds up to what one counts of all of it."""
    task, module = subject.task, subject.module.eval()
    batches = list(subject.loader("val").eval_batches(BATCH // 2))
    subject.fit_baselines()
    for thorough in (True, False):
        whole, *parts, joined = (task.evaluator(thorough) for _ in range(4))
        with torch.no_grad():
            for i, batch in enumerate(batches):
                whole.update(module, batch)
                parts[i % 2].update(module, batch)
        joined.load_state(add_states(parts[1].state(), parts[0].state()))
        with must_work(
            f"evaluator({thorough=}) must take what two others have counted", "count in add() and add_rows() alone"
        ):
            found, expected = ({each.name: each for each in one.metrics()} for one in (joined, whole))
        apart = [name for name, metric in expected.items() if not _same_metric(metric, found.get(name))]
        expect(
            not apart,
            f"{some(apart)} of evaluator({thorough=}) is another when the states of two are added than when one sees "
            "all batches; count in add() and add_rows() alone, and make the metrics of these",
        )


def comparing(subject: TaskSubject) -> None:
    """Where two modules are compared on the same samples, the difference is that of their headlines."""
    evaluators = []
    for module in (subject.module.eval(), subject.build(seed=1).eval()):
        evaluator = subject.task.evaluator()
        with torch.no_grad():
            subject.fit_baselines()
            for batch in subject.loader("val").eval_batches(BATCH):
                evaluator.update(module, batch)
        evaluators.append(evaluator)
    one, other = evaluators
    difference = one.difference(other)
    if difference is None:
        return
    mine, theirs = (next(iter(evaluator.metrics())) for evaluator in evaluators)
    expect(
        _close(difference.value, mine.value - theirs.value),
        f"difference() says {difference.value:.6g} of two modules whose {mine.name} is {mine.value:.6g} and "
        f"{theirs.value:.6g}; return how far the headline lies above the other's, on the samples that both saw",
    )


def _same_metric(one: Metric, other: Metric | None) -> bool:
    if other is None or one.baselines.keys() != other.baselines.keys():
        return False
    values, others = ((metric.value, *metric.baselines.values(), *(metric.interval or ())) for metric in (one, other))
    return len(values) == len(others) and all(map(_close, values, others))


def _check_metrics(subject: TaskSubject, metrics: Sequence[Metric], thorough: bool) -> None:
    which = f"evaluator(thorough={thorough})"
    expect(bool(metrics), f"{which} has no metrics; return at least the one that says how good the module is")
    names = [metric.name for metric in metrics]
    twice = sorted({name for name in names if names.count(name) > 1})
    expect(not twice, f"{which} has two metrics of the name {some(twice)}; give each its own")
    monitor = getattr(subject.task, "monitor", None)
    expect(
        monitor in names,
        f"monitor is {monitor!r}, and {which} has {', '.join(names)}; name the metric that decides which checkpoint is "
        "best, and measure it even when not thorough",
    )
    for metric in metrics:
        bad = [value for value in (metric.value, *metric.baselines.values()) if not math.isfinite(value)]
        expect(not bad, f"metric {metric.name!r} of {which} is {some(bad)}; a metric is a finite number")
    expect(
        bool(metrics[0].baselines),
        f"metric {metrics[0].name!r} of {which} stands alone; put beside the headline, as baselines, what trivial "
        "predictors get on the same samples (the majority, the mean of training: see fit_baselines)",
    )


def prediction(subject: TaskSubject) -> None:
    """Each picture alone gives one row of plain values, and files as bytes, or as what returns them."""
    batch, name = subject.picture_batch(), subject.plugin.name
    try:
        rows = subject.predict(batch)
    except KeyError as error:
        raise Broken(
            f"predict() wants {error} of the batch; inference has pictures and nothing else: "
            f"predict from batch['image'] ({describe_error(error)})"
        ) from error
    expect(
        isinstance(rows, list) and len(rows) == len(batch),
        f"predict() returns {len(rows) if isinstance(rows, Sequence) else type(rows).__name__} predictions for "
        f"{len(batch)} samples; return a list with one per sample, in order",
    )
    for key, prediction in zip(batch.keys, rows, strict=True):
        expect(
            isinstance(prediction, Prediction),
            f"predict() returns {type(prediction).__name__} for {key!r}; return api.Prediction(row, files)",
        )
        for column, value in prediction.row.items():
            expect(
                type(value) in PLAIN,
                f"predict(): {column!r} of {key!r} is {type(value).__name__}; rows are written as CSV and JSON: give "
                "str, int, float or bool",
            )
            expect(
                not isinstance(value, float) or math.isfinite(value),
                f"predict(): {column!r} of {key!r} is {value}; give a finite number",
            )
        expect(
            "path" not in prediction.row,
            f"predict(): the row of {key!r} has a column 'path', which is where the picture's own path goes; rename it",
        )
        expect(
            "truth" not in prediction.row,
            f"predict(): the row of {key!r} has a column 'truth', which is where what is known of it goes; rename it",
        )
        expect(
            bool(prediction.row) or bool(prediction.files),
            f"predict() says nothing of {key!r}; {name} must give a row of values or a file",
        )
        for suffix, contents in prediction.files.items():
            data = contents() if callable(contents) else contents
            expect(
                suffix.startswith(".") and "/" not in suffix and isinstance(data, bytes),
                f"predict(): file {suffix!r} of {key!r} is {type(data).__name__}; give bytes under a suffix such as "
                "'.png', or a function that returns them",
            )
            expect(
                not suffix.endswith(".png") or data.startswith(PNG),
                f"predict(): file {suffix!r} of {key!r} is no PNG; write one, or name it otherwise",
            )
    _check_answer(subject.task.answer, batch.keys, [prediction.row for prediction in rows])
    columns = [list(prediction.row) for prediction in rows]
    expect(
        all(each == columns[0] for each in columns),
        f"predict() gives other columns for {batch.keys[0]!r} than for another sample of the batch; give every row the "
        "same ones",
    )


def calibration(subject: TaskSubject) -> None:
    """What a task learns of its outputs are finite tensors, and with them it predicts and measures as it promises."""
    task, name = subject.task, subject.plugin.name
    batches = (subject.loader(split).eval_batches(BATCH) for split in ("train", "val"))
    with torch.no_grad(), must_work(f"calibrate() of {name} fails", "return {} where nothing can be learnt"):
        kept = task.calibrate(subject.module.eval(), *batches)
    for key, tensor in kept.items():
        expect(
            isinstance(tensor, torch.Tensor) and bool(torch.isfinite(tensor).all()),
            f"calibrate(): {key!r} is {brief(tensor)}; it is kept beside the weights: return finite tensors by name",
        )
    task.calibration = {key: tensor.cpu() for key, tensor in kept.items()}
    try:
        evaluation(subject)
        prediction(subject)
    finally:
        task.calibration = {}


def _check_answer(answer: Answer | None, keys: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    if answer is None:
        return
    for key, row in zip(keys, rows, strict=True):
        expect(
            isinstance(row.get(answer.column), str),
            f"answer.column is {answer.column!r}, and the row of {key!r} has {brief(row.get(answer.column))} there; "
            "name the column in which predict() writes the name of a class",
        )
        for name, column in (("probability", answer.probability), ("margin", answer.margin)):
            value = row.get(column)
            expect(
                not column or (isinstance(value, float) and 0 <= value <= 1),
                f"answer.{name} is {column!r}, and the row of {key!r} has {brief(value)} there; name a column of "
                "numbers in [0, 1], or none",
            )
        unsure = row.get(answer.unsure, False)
        expect(
            isinstance(unsure, bool),
            f"answer.unsure is {answer.unsure!r}, and the row of {key!r} has {brief(unsure)} there; name a column of "
            "True and False, or none",
        )


def alone(subject: TaskSubject) -> None:
    """What is predicted for a picture does not depend on the pictures beside it."""
    batch = subject.picture_batch()
    for key, one, other in zip(batch.keys, batch.micro_batches(1), subject.predict(batch), strict=True):
        row = subject.predict(one)[0].row
        apart = [name for name, value in other.row.items() if not _close(value, row.get(name))]
        expect(
            not apart,
            f"predict(): {some(apart)} of {key!r} is {some(other.row[name] for name in apart[:1])} in a batch and "
            f"{some(row.get(name) for name in apart[:1])} alone; work on each sample by itself, with "
            "module.eval()'s statistics",
        )


def _close(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-4)
    return a == b


def saving(subject: TaskSubject) -> None:
    """A module with the weights of a checkpoint predicts what the saved one did."""
    batch, other = subject.picture_batch(), subject.build(seed=1)
    hand_over(f"the module of {subject.plugin.name}", subject.module, other)
    first, second = subject.predict(batch), subject.predict(batch, other)
    for key, one, two in zip(batch.keys, first, second, strict=True):
        apart = [name for name, value in one.row.items() if not _close(value, two.row.get(name))]
        apart += [name for name in one.files if _contents(one, name) != _contents(two, name)]
        expect(
            not apart,
            f"{some(apart)} of {key!r} differs after saving and loading; keep all that predictions depend on in "
            "parameters and buffers of the module, or in the options",
        )


def _contents(prediction: Prediction, suffix: str) -> bytes | None:
    contents = prediction.files.get(suffix)
    return contents() if callable(contents) else contents


def drawing(subject: TaskSubject) -> None:
    """Drawings are named PNGs with a caption, of pictures with and without what else a sample carries."""
    module = subject.module.eval()
    with torch.no_grad():
        full = next(subject.loader("val").eval_batches(BATCH))
        for batch, what in ((full, "a batch of val"), (subject.picture_batch(), "pictures alone, as inference has")):
            with must_work(f"draw() fails on {what}", "draw what the batch has, or return []"):
                drawings = subject.task.draw(module, batch)
            _check_pictures("draw()", drawings)
        _check_side_by_side(subject.task.side_by_side(module, full), len(full))


def _check_pictures(what: str, pictures: Sequence[Drawing]) -> None:
    for picture in pictures:
        expect(isinstance(picture, Drawing), f"{what} returns {type(picture).__name__}; return api.Drawing(…)")
        expect(picture.png.startswith(PNG), f"{what}: picture {picture.name!r} is no PNG; encode it as one")
        expect(
            bool(picture.name) and "/" not in picture.name,
            f"{what}: {picture.name!r} is no name for a file; use letters and hyphens",
        )
        expect(
            bool(picture.caption), f"{what}: picture {picture.name!r} has no caption; say in a sentence what it shows"
        )


def _check_side_by_side(sides: SideBySide | None, num: int) -> None:
    if sides is None:
        return
    columns: dict[str, Sequence[Any]] = {**sides.given, "made": sides.made}
    lengths = {len(column) for column in columns.values()}
    expect(
        len(lengths) == 1 and max(lengths) <= num,
        f"side_by_side() has {sorted(lengths)} pictures in its columns for {num} samples; each has one per sample",
    )
    for title, column in columns.items():
        for picture in column:
            array = np.asarray(picture)
            expect(
                array.ndim == 3 and bool(np.isfinite(array).all()) and array.min() >= 0 and array.max() <= 1,
                f"side_by_side(): a picture of {title!r} has the shape {array.shape} and goes from {array.min():.3g} "
                f"to {array.max():.3g}; give (C, H, W) in [0, 1]",
            )


STAGES: Stages = (
    (options, spec, imports),
    (build,),
    (class_rows, training, evaluation, prediction),
    (repeatable, wrapped, adding, comparing, alone, saving, drawing, calibration),
    (frozen,),
)


def check_task(
    task: type[Task[Any]], dataset: Dataset | None = None, options: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Return a finding for each promise of a task with these options, on a data set or on pictures made by rule."""
    return find_all(STAGES, TaskSubject(task, dataset, options))
