"""What pretraining and fine-tuning share: from a spec to a finished run directory."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from maecli.data.dataset import Dataset, Split
from maecli.data.few_labels import WHOLE, few_labels
from maecli.data.loading import Loader, make_loader
from maecli.errors import DataError, SpecError
from maecli.files import disk_errors, write_json, write_text
from maecli.hardware import (
    choose_device,
    choose_dtype,
    describe_device,
    keep_freed_memory,
    memory_used,
)
from maecli.models.encoder import Encoder
from maecli.progress import TrainProgress, duration
from maecli.registry import Registry
from maecli.resolve import difference, validate
from maecli.results import Evaluation
from maecli.runs.assemble import Assembly, assemble, make_dataset
from maecli.runs.directory import RunDirectory, runs_dir
from maecli.runs.environment import describe_environment
from maecli.runs.initial import initial_weights
from maecli.runs.plugins import with_plugins
from maecli.runs.report import write_run_report
from maecli.specs import CHANGEABLE_ON_RESUME, RunSpec
from maecli.training.checkpoint import Checkpoint
from maecli.training.evaluation import evaluate, fit_twins
from maecli.training.frozen import computed_once
from maecli.training.optim import peak_rate
from maecli.training.tracker import Tracker
from maecli.training.trainer import Trainer
from maecli.weights.fit import load_encoder_weights

SKIPPED = "skipped.csv"
DRY_STEPS = 5, 14
"""How many steps a dry run times, at least and at most: the first ones find their batches ready, read ahead."""
DRY_SECONDS = 20.0
"""After this long the least number of steps is enough."""


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    run: RunDirectory
    evaluation: Evaluation | None
    seconds: float
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DryRun:
    """What a run would be."""

    facts: dict[str, Any]


class Skipped:
    """Collects files that cannot be read; each is named once."""

    def __init__(self, progress: TrainProgress, strict: bool) -> None:
        self.progress, self.strict = progress, strict
        self.files: dict[str, str] = {}

    def add(self, key: str, reason: str) -> None:
        if self.strict:
            raise DataError(f"{key}: {reason}; mend or remove it, or go without --strict to leave it out")
        if key not in self.files:
            self.files[key] = reason
            self.progress.say(f"left out: {key}: {reason}")

    def write(self, path: Path) -> None:
        """Write the list, if there is anything on it."""
        if self.files:
            write_text(path, skipped_csv(self.files))


def skipped_csv(files: dict[str, str]) -> str:
    """Return the CSV text of unreadable files, path → reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows(sorted(files.items()))
    return text.getvalue()


@dataclass
class Prepared:
    """Everything that a run works with, built and ready."""

    spec: RunSpec
    dataset: Dataset
    assembly: Assembly
    train: Loader
    val: Loader
    device: torch.device
    dtype: torch.dtype
    skipped: Skipped
    init: str
    samples: str
    """What part of the training split is learnt from, in words."""


def default_out(spec: RunSpec) -> Path:
    """Return where a run goes unless told otherwise: runs/pretrain-DATASET, runs/finetune-DATASET-TASK."""
    verb = spec.model_dump()["verb"]
    task = "" if verb == "pretrain" else f"-{spec.task.name}"
    return runs_dir() / f"{verb}-{spec.dataset.name}{task}"


def prepare(spec: RunSpec, registry: Registry, progress: TrainProgress, resuming: bool = False) -> Prepared:
    """Build data, task and model of a spec; start the encoder from `spec.init`, which need not be there to resume."""
    keep_freed_memory()
    device = choose_device(spec.device)
    dtype = choose_dtype(spec.precision, device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    check_task(spec, registry)
    dataset = make_dataset(spec.dataset, registry)
    plugin = registry.task(spec.task.name)
    part = str(spec.data.labels or WHOLE)
    few = few_labels(dataset, dataset.card(plugin.fields), plugin.fields, part, spec.seed, spec.task.name)
    skipped = Skipped(progress, spec.data.strict)
    for path, reason in dataset.broken().items():
        skipped.add(path, reason)
    assembly = assemble(spec, few.card, registry)
    init = "from scratch"
    if spec.init is not None and resuming:
        init = f"encoder from {spec.init}"
    elif spec.init is not None:
        weights = initial_weights(spec.init, registry, progress.say)
        encoder = cast(Encoder, assembly.module.get_submodule("encoder"))
        init = load_encoder_weights(encoder, weights, spec.init_partial)
    if spec.train.freeze:
        init = "random encoder, frozen" if spec.init is None else f"{init}, frozen"
    assembly.module.to(device)
    own = assembly.task.own_size
    loaders = [
        make_loader(split, assembly.preprocess, device, spec.seed, spec.data, skipped.add, own)
        for split in (few.split, dataset.split("val", plugin.fields))
    ]
    return Prepared(spec, dataset, assembly, loaders[0], loaders[1], device, dtype, skipped, init, few.description)


def check_task(spec: RunSpec, registry: Registry) -> None:
    """Raise SpecError when the task belongs to the other verb."""
    verb, task = spec.model_dump()["verb"], registry.task(spec.task.name)
    if task.verb != verb:
        raise SpecError(f"task {spec.task.name} is for mae {task.verb}, not for mae {verb}")


def train(
    spec: RunSpec,
    registry: Registry,
    progress: TrainProgress,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> TrainResult:
    """Run a spec to its end and return what came out.

    Raises SpecError for a directory that is not empty, or for a spec that differs from the one to resume.
    """
    begin = time.monotonic()
    run = RunDirectory(spec.out or default_out(spec))
    if resume and overwrite:
        raise SpecError("--resume keeps the run that is there and --overwrite replaces it; give one of them")
    going_on = resume and run.is_run
    spec = with_plugins(spec, registry, run if going_on else "the given spec", progress.say)
    stored = spec.model_dump(mode="json")
    if going_on:
        begun = validate(run.read_spec(), stored["verb"], registry)  # fills in keys that are newer than the run
        changed = difference(begun.model_dump(mode="json"), stored, CHANGEABLE_ON_RESUME)
        if changed:
            raise SpecError(f"{run} cannot be resumed with another spec: " + "; ".join(changed))
    else:
        run.check_free(overwrite)
    last = run.checkpoints.pointed("last") if going_on else None
    prepared = prepare(spec, registry, progress, resuming=last is not None)
    trainer = make_trainer(prepared, run, progress)
    if last is not None:
        check_same_samples(last, trainer.metadata["samples"], prepared, run)
        trainer.load(last)
        progress.say(f"resuming {run} at step {trainer.step} of {trainer.total_steps}")
    if going_on:
        run.write_spec(stored)
    else:
        run.start(stored, overwrite)
    environment = describe_environment(spec, registry, prepared.device, prepared.dtype)
    write_json(run.path / "environment.json", environment)
    progress.say(introduce(prepared, trainer))
    if ask_frozen_encoder(trainer):
        progress.say("the features of the frozen encoder were computed once, since nothing is augmented")

    with open_trackers(spec, registry, run, trainer.step) as trainer.trackers:
        trainer.fit()
    prepared.skipped.write(run.path / SKIPPED)
    evaluation = None
    if len(prepared.val.split):
        fit_twins(prepared.assembly.task, prepared.train, spec.train.batch_size)
        evaluation = evaluate(
            prepared.assembly.task,
            trainer.final_module,
            prepared.val,
            "val",
            spec.train.batch_size,
            prepared.dtype,
        ).model_copy(update={"weights": f"last (step {trainer.step})"})
        run.write_evaluation(evaluation)
    seconds = time.monotonic() - begin + trainer.seconds_before
    run.write_summary(
        {
            "verb": stored["verb"],
            "task": spec.task.name,
            "dataset": spec.dataset.name,
            "steps": trainer.total_steps,
            "seconds": round(seconds, 1),
            "device": environment["device"],
            "precision": environment["precision"],
            "init": prepared.init,
            "train_samples": len(prepared.train.split),
            "finished_at": time.time(),
        }
    )
    write_run_report(run, registry)
    return TrainResult(run, evaluation, seconds, prepared.skipped.files)


def fingerprint(split: Split) -> str:
    """Return a digest of the samples of a split: their number, names and order."""
    keys = "\n".join([str(len(split)), *split.keys])
    return hashlib.blake2b(keys.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def check_same_samples(last: Checkpoint, now: Mapping[str, str], prepared: Prepared, run: RunDirectory) -> None:
    """Raise SpecError when the data hold other samples than when the run began: the schedule would not go on."""
    recorded = last.metadata().get("samples", {})
    for name, loader in (("train", prepared.train), ("val", prepared.val)):
        if recorded.get(name, now[name]) != now[name]:
            raise SpecError(
                f"{run} cannot be resumed: its {name} split has other samples now ({len(loader.split):,} of them) than "
                "when the run began; bring back the data, or begin anew with another --out"
            )


def make_trainer(prepared: Prepared, run: RunDirectory | None, progress: TrainProgress) -> Trainer:
    spec = prepared.spec
    samples = {"train": fingerprint(prepared.train.split), "val": fingerprint(prepared.val.split)}
    return Trainer(
        prepared.assembly.task,
        prepared.assembly.module,
        spec,
        prepared.train,
        prepared.val,
        prepared.dtype,
        run.checkpoints if run else None,
        prepared.assembly.metadata(spec) | {"samples": samples},
        (),
        progress,
    )


def ask_frozen_encoder(trainer: Trainer, limit: int | None = None) -> bool:
    """Compute what a frozen encoder makes of samples that nothing augments; return whether the task wants just that.

    The trainer has its weights. `limit`: see `computed_once`.
    """
    spec, pictures = trainer.spec, trainer.train_loader
    if not spec.train.freeze or not spec.augment.changes_nothing:
        return False
    task, module, dtype = trainer.task, trainer.module, trainer.dtype
    features = computed_once(task, module, pictures, spec.train.batch_size, dtype, limit)
    if len(features.split) < spec.train.batch_size:  # so many files cannot be read; others stand in for those
        return False
    trainer.train_loader = features
    if trainer.val_loader is not None:
        trainer.val_loader = computed_once(task, module, trainer.val_loader, spec.train.batch_size, dtype, limit)
    return trainer.train_loader is not pictures


@contextlib.contextmanager
def open_trackers(spec: RunSpec, registry: Registry, run: RunDirectory, start_step: int) -> Iterator[Sequence[Tracker]]:
    """Give the run's trackers; they are closed whatever happens."""

    def close(tracker: Tracker) -> None:
        with disk_errors(run.path):
            tracker.close()

    with contextlib.ExitStack() as stack:
        trackers = []
        for name in spec.trackers:
            plugin = registry.tracker(name)
            with disk_errors(run.path):
                tracker = plugin(run.path, spec.model_dump(mode="json"), start_step)
            stack.callback(close, tracker)
            trackers.append(tracker)
        yield trackers


def introduce(prepared: Prepared, trainer: Trainer) -> str:
    """Return the facts of a run before it starts, one per line."""
    spec, assembly = prepared.spec, prepared.assembly
    parameters = f"{sum(p.numel() for p in assembly.module.parameters()):,} parameters"
    if spec.train.freeze:
        parameters += f", of which {sum(p.numel() for p in assembly.module.parameters() if p.requires_grad):,} learn"
    size = "×".join(str(length) for length in assembly.preprocess.img_size)
    data = f"{assembly.card.title}: {len(prepared.train.split):,} train, {len(prepared.val.split):,} val"
    model = f"{spec.model.name}, {parameters}, {size} × {assembly.preprocess.in_chans} channels"
    rate = f"{peak_rate(spec.train):.3g} (base_lr {spec.train.base_lr:g} × {spec.train.batch_size} / 256)"
    device = f"{describe_device(prepared.device)}, {str(prepared.dtype).removeprefix('torch.')}"
    told = [f"labels  {prepared.samples}"] if spec.data.labels is not None else []
    if spec.train.freeze and spec.init is None:
        told.append("twin    without --init the frozen encoder is random: what a pretrained one has to beat")
    return "\n".join(
        [
            f"data    {data}",
            f"model   {model}, {prepared.init}",
            *told,
            f"run     {trainer.total_steps:,} steps of {spec.train.batch_size}, learning rate {rate}",
            f"device  {device}",
        ]
    )


def dry_run(spec: RunSpec, registry: Registry, progress: TrainProgress) -> DryRun:
    """Build everything, time a few steps, write nothing."""
    prepared = prepare(spec, registry, progress)
    trainer = make_trainer(prepared, None, progress)
    trainer.module.train()
    steps = min(DRY_STEPS[1], trainer.total_steps)
    times: list[float] = []
    begin = time.monotonic()
    sizes = len(prepared.train.split), len(prepared.val.split)
    asked = DRY_STEPS[0] * spec.train.batch_size
    once = ask_frozen_encoder(trainer, asked)
    once_s = time.monotonic() - begin
    first_s = once_s * sum(sizes) / sum(min(asked, size) for size in sizes) if once else 0.0
    begin = time.monotonic()
    for batch in trainer.train_loader.train_batches(spec.augment, spec.train.batch_size, 0, steps):
        trainer.train_step(batch)
        trainer.check_finite()  # waits for the device
        trainer.step += 1
        times.append(time.monotonic() - begin)
        begin = time.monotonic()
        if len(times) >= DRY_STEPS[0] and sum(times) > DRY_SECONDS:
            break
    step_s = statistics.mean(times[len(times) // 2 :])  # a mean, since batches that are waited for come in bursts
    total_s = first_s + step_s * trainer.total_steps
    module = prepared.assembly.module
    return DryRun(
        {
            "out": str(spec.out or default_out(spec)),
            "parameters": sum(p.numel() for p in module.parameters()),
            "encoder_parameters": sum(p.numel() for p in module.get_submodule("encoder").parameters()),
            "train_samples": sizes[0],
            "val_samples": sizes[1],
            "steps_per_epoch": trainer.steps_per_epoch,
            "total_steps": trainer.total_steps,
            "learning_rate": peak_rate(spec.train),
            "device": describe_device(prepared.device),
            "precision": str(prepared.dtype).removeprefix("torch."),
            "init": prepared.init,
            "memory_bytes": memory_used(prepared.device),
            "seconds_per_step": round(step_s, 4),
            "samples_per_s": round(spec.train.batch_size / step_s, 1),
            "estimated_seconds": round(total_s),
            "estimated_time": duration(total_s),
        }
    )
