"""From a spec to everything that a run works with, built and ready: data, task, model, weights, trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from maecli.data.dataset import Dataset
from maecli.data.few_labels import WHOLE, few_labels
from maecli.data.sample import Split
from maecli.errors import SpecError
from maecli.hardware import (
    choose_device,
    choose_dtype,
    describe_device,
    keep_freed_memory,
)
from maecli.loading import make_loader
from maecli.loading.loader import Loader
from maecli.models.encoder import Encoder
from maecli.outputs.faults import Faults
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.assemble import Assembly, assemble, make_dataset
from maecli.run.directory import RunDirectory, runs_dir
from maecli.run.initial import initial_weights
from maecli.schema import RunSpec
from maecli.training.frozen import computed_once
from maecli.training.optim import peak_rate
from maecli.training.trainer import Trainer
from maecli.weights.fit import load_encoder_weights


@dataclass
class Prepared:
    """Everything that a run works with, built and ready."""

    spec: RunSpec
    dataset: Dataset
    assembly: Assembly
    train: Loader
    val: Loader
    sources: Mapping[str, Split]
    """The splits that these loaders have their samples from, as the data set gives them."""
    device: torch.device
    dtype: torch.dtype
    faults: Faults
    init: str
    samples: str
    """What part of the training split is learnt from, in words."""


def default_out(spec: RunSpec) -> Path:
    """Return where a run goes unless told otherwise: runs/pretrain-DATASET, runs/finetune-DATASET-TASK."""
    task = "" if spec.verb == "pretrain" else f"-{spec.task.name}"
    return runs_dir() / f"{spec.verb}-{spec.dataset.name}{task}"


def prepare(spec: RunSpec, registry: Registry, progress: Progress, resuming: bool = False) -> Prepared:
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
    faults = Faults(progress.say, spec.data.strict)
    faults.update(dataset.faults())
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
    sources = {"train": few.split, "val": dataset.split("val", plugin.fields)}
    train, val = (
        make_loader(split, assembly.preprocess, device, spec.seed, spec.data, faults.add, own)
        for split in sources.values()
    )
    return Prepared(spec, dataset, assembly, train, val, sources, device, dtype, faults, init, few.description)


def check_task(spec: RunSpec, registry: Registry) -> None:
    """Raise SpecError when the task belongs to the other verb."""
    task = registry.task(spec.task.name)
    if task.verb != spec.verb:
        raise SpecError(f"task {spec.task.name} is for mae {task.verb}, not for mae {spec.verb}")


def make_trainer(prepared: Prepared, run: RunDirectory | None, progress: Progress) -> Trainer:
    spec = prepared.spec
    return Trainer(
        prepared.assembly.task,
        prepared.assembly.module,
        spec,
        prepared.train,
        prepared.val,
        prepared.dtype,
        run.checkpoints if run else None,
        prepared.assembly.metadata(spec),
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
        told.append("baseline    without --init the frozen encoder is random: what a pretrained one has to beat")
    return "\n".join(
        [
            f"data    {data}",
            f"model   {model}, {prepared.init}",
            *told,
            f"run     {trainer.total_steps:,} steps of {spec.train.batch_size}, learning rate {rate}",
            f"device  {device}",
        ]
    )
