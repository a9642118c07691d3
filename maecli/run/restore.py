"""From a checkpoint back to what works: its spec, its card and its module or encoder; the data need not be there.

A checkpoint that is not what was saved is refused in one sentence, and so is one whose tensors are not all of the
module's own, or not finite. Of a plugin that is missing its package is named; one of another version is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maecli.data.card import DataCard
from maecli.data.randomness import derive_seed
from maecli.data.sample import Split
from maecli.errors import Fault, MaeError, SpecError
from maecli.hardware import keep_freed_memory
from maecli.loading.streamed import StreamedLoader, num_workers
from maecli.modalities.modality import Modality
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.models.lora import merged_tensors
from maecli.outputs.faults import Faults
from maecli.registry import Registry
from maecli.run.checkpoint import read_checkpoint
from maecli.run.data.begun import Begun, begun_with
from maecli.run.directory import Say
from maecli.run.exported.file import ExportedFile, exported_file, file_encoder, file_module
from maecli.run.open import Built, Data, build_encoder, build_module, make_modality, make_model, open_device
from maecli.run.plugins_used import missing_packages, tell_changes
from maecli.run.weights.initial import whole
from maecli.run.weights.recorded import encoder_tensors, with_own_paths
from maecli.schema import RunSpec
from maecli.spec.validate import validate
from maecli.training.checkpoint import Checkpoint, DamagedCheckpoint, check_finite, notes_on
from maecli.training.task import Task

MAX_LENGTH = 65_536
"""Pixels, cells or steps along an axis of what a model takes."""


@dataclass
class Restored(Built):
    """Everything that a run worked with, its weights those of a checkpoint; data are opened where they are needed."""

    checkpoint: Checkpoint


@dataclass(frozen=True)
class RestoredEncoder:
    """The encoder of a run, on a device, with what it needs to see pictures."""

    checkpoint: Checkpoint
    spec: RunSpec
    card: DataCard
    preprocess: Preprocess
    encoder: Encoder
    device: torch.device
    dtype: torch.dtype

    def untrained(self, registry: Registry) -> Encoder:
        """Return the same architecture with the random weights of the run's seed: what the run began with, or would."""
        torch.manual_seed(derive_seed(self.spec.seed, "weights"))
        return build_encoder(make_model(self.spec.model, registry), self.preprocess)


def restore(
    path: Path,
    registry: Registry,
    say: Say,
    checkpoint: str = "last",
    settings: Mapping[str, Any] | None = None,
    ignore_unknown_classes: bool = False,
) -> Restored:
    """Return what a run, by its directory, a checkpoint or an exported file worked with; `checkpoint` is last or best.

    `settings` are dotted keys that lie over the recorded spec, such as `device` or `dataset.root`; None is as recorded.
    `init` among them says where the weights beside adapters are now.
    `say` is told of what a person should know of the checkpoint, and of files of its data that are left out.
    Classes of the data that the run does not know are refused when these are opened, unless they are ignored.
    """
    if (file := exported_file(path, registry)) is not None:
        return rebuild_file(file, registry, say, settings, ignore_unknown_classes)
    return read_checkpoint(path, checkpoint, lambda one: rebuild(one, registry, say, settings, ignore_unknown_classes))


def rebuild(
    checkpoint: Checkpoint,
    registry: Registry,
    say: Say,
    settings: Mapping[str, Any] | None = None,
    ignore_unknown_classes: bool = False,
) -> Restored:
    """Return what `restore` does, of this checkpoint."""
    spec, card, preprocess = read_record(checkpoint, registry, say, settings)
    task, module = build_module(spec, card, preprocess, registry)
    checkpoint = _whole(checkpoint, spec, registry, say, settings)
    load_exactly(module, checkpoint.tensors(), str(checkpoint.path))
    elsewhere = (settings or {}).get("dataset.root") is not None
    begun = begun_with(checkpoint, spec, registry, elsewhere=elsewhere)
    return _restored(checkpoint, (spec, card, preprocess, task, module), registry, say, begun, ignore_unknown_classes)


def rebuild_file(
    file: ExportedFile,
    registry: Registry,
    say: Say,
    settings: Mapping[str, Any] | None = None,
    ignore_unknown_classes: bool = False,
) -> Restored:
    """Return what `restore` does, of an exported file, which computes on the CPU in float32."""
    settings = {**(settings or {}), **_as_files_are(file, settings or {})}
    spec, card, preprocess = read_record(file, registry, say, settings)
    task, module = build_module(spec, card, preprocess, registry)
    parts = spec, card, preprocess, task, file_module(file, task, module)
    return _restored(file, parts, registry, say, None, ignore_unknown_classes)


def _as_files_are(file: ExportedFile, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return with which settings a file is computed. Raises SpecError where others are asked for."""
    if settings.get("init") is not None:
        raise SpecError(f"--base is for a run of adapters, and {file.path} has all of its weights; leave it out")
    own = {"device": "cpu", "precision": "float32"}
    for name, only in own.items():
        if settings.get(name) not in (None, "auto", only):
            raise SpecError(f"{file.path} is computed on the CPU in float32; leave --{name} {settings[name]} out")
    return own


def _restored(
    checkpoint: Checkpoint,
    parts: tuple[RunSpec, DataCard, Preprocess, Task[Any], nn.Module],
    registry: Registry,
    say: Say,
    begun: Begun | None,
    ignore_unknown_classes: bool,
) -> Restored:
    """Return what a checkpoint gave, on its device, with its data, which are opened where they are needed."""
    spec, card, preprocess, task, module = parts
    task.calibration = checkpoint.calibration()
    keep_freed_memory()
    device, dtype = open_device(spec)
    faults = Faults(say, spec.data.strict)
    data = Data(spec, registry, task.fields, faults, task.name, card, begun, ignore_unknown_classes)
    return Restored(spec, data, card, preprocess, task, module.to(device), device, dtype, checkpoint)


def restore_encoder(
    path: Path, registry: Registry, say: Say, checkpoint: str = "last", settings: Mapping[str, Any] | None = None
) -> RestoredEncoder:
    """Return the encoder of a run or checkpoint; decoder and head need not be there. See `restore`."""

    def read(one: Checkpoint) -> RestoredEncoder:
        spec, card, preprocess = read_record(one, registry, say, settings)
        encoder = build_encoder(make_model(spec.model, registry), preprocess)
        tensors = encoder_tensors(_whole(one, spec, registry, say, settings).tensors())
        if spec.adapt is not None:
            tensors = merged_tensors(tensors, spec.adapt.alpha)
        load_exactly(encoder, tensors, str(one.path))
        device, dtype = open_device(spec)
        return RestoredEncoder(one, spec, card, preprocess, encoder.to(device), device, dtype)

    return read_checkpoint(path, checkpoint, read)


def restore_features(
    path: Path, registry: Registry, say: Say, checkpoint: str = "last", settings: Mapping[str, Any] | None = None
) -> RestoredEncoder:
    """Return what `restore_encoder` does; an exported file stands in for the encoder, and gives one token a sample."""
    file = exported_file(path, registry)
    if file is None:
        return restore_encoder(path, registry, say, checkpoint, settings)
    settings = {**(settings or {}), **_as_files_are(file, settings or {})}
    spec, card, preprocess = read_record(file, registry, say, settings)
    encoder = file_encoder(file, *build_module(spec, card, preprocess, registry))
    return RestoredEncoder(file, spec, card, preprocess, encoder, *open_device(spec))


def _whole(
    checkpoint: Checkpoint, spec: RunSpec, registry: Registry, say: Say, settings: Mapping[str, Any] | None
) -> Checkpoint:
    """Return a checkpoint with what it leaves out. Raises SpecError where some are given and none needed."""
    complete = whole(checkpoint, spec.init, registry, say)
    if complete is checkpoint and (settings or {}).get("init") is not None:
        raise SpecError(f"--base is for a run of adapters, and {checkpoint.path} has all of its weights; leave it out")
    return complete


def read_record(
    checkpoint: Checkpoint, registry: Registry, say: Say, settings: Mapping[str, Any] | None = None
) -> tuple[RunSpec, DataCard, Preprocess]:
    """Return what a checkpoint says of its run, its data, and how these are brought to the model.

    It names no tracker: those of a run that is only read need not be installed.
    `say` is told of plugins that have another version now. Raises PluginError naming the package of a missing plugin.
    """
    metadata = checkpoint.metadata()
    with missing_packages(metadata, checkpoint.path):
        try:
            card = DataCard.model_validate(metadata["card"])
            preprocess = _as_preprocess(metadata["preprocess"], make_modality(card, registry))
            tree = with_own_paths(metadata["spec"], checkpoint)
            spec = validate(tree | {"trackers": []}, metadata["verb"], registry)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DamagedCheckpoint(f"{checkpoint.path} records no run that this mae can read ({reason})") from error
    tell_changes(metadata, registry, checkpoint.path, say)
    for note in notes_on(checkpoint):
        say(note)
    return with_settings(spec, registry, settings or {}), card, preprocess


def card_of(checkpoint: Checkpoint) -> DataCard:
    """Return the card of the data that a checkpoint records. Raises DamagedCheckpoint."""
    try:
        return DataCard.model_validate(checkpoint.metadata()["card"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedCheckpoint(f"{checkpoint.path} records no card of its data that this mae can read") from error


def _as_preprocess(recorded: Mapping[str, Any], modality: Modality) -> Preprocess:
    """Return what was recorded of the preprocessing. Raises ValueError for what is none."""
    preprocess = Preprocess.from_record(recorded, modality)
    numbers = (*np.ravel(preprocess.value_range).tolist(), *preprocess.mean, *preprocess.std)
    num = preprocess.img_size[-1:] if modality.per_cell else (preprocess.in_chans,)
    lengths = {*num, len(preprocess.mean), len(preprocess.std)}
    if not all(map(math.isfinite, numbers)) or min(preprocess.std, default=0) <= 0 or len(lengths) > 1:
        raise ValueError("its mean and std do not fit its channels")
    if not preprocess.img_size or not all(0 < length <= MAX_LENGTH for length in preprocess.img_size):
        raise ValueError(f"it has the size {str(preprocess.img_size)[:60]}")
    return preprocess


def with_settings(spec: RunSpec, registry: Registry, settings: Mapping[str, Any]) -> RunSpec:
    """Return a run's spec with dotted keys laid over it, such as where its data lie now; None leaves a key as it is."""
    tree = spec.model_dump(mode="json")
    tree["paths"] = [path for path in tree["paths"] if settings.get(path["key"]) is None]
    if settings.get("dataset.root") is not None:  # what was dealt out were the run's own data
        tree["data"] |= {"folds": None, "fold": None}
        tree["fold_pretrain"] = False
    if settings.get("dataset.name") not in (None, spec.dataset.name):  # its options are none of the other's
        tree["dataset"] = {}
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        if value is not None:
            (tree[section] if section else tree)[name] = value
    return validate(tree, spec.verb, registry)


def load_files(
    split: Split,
    restored: Restored | RestoredEncoder,
    on_fault: Callable[[Fault], None],
    *,
    batch_size: int,
    workers: int | None = None,
    own_size: bool = False,
) -> StreamedLoader:
    """Return a loader of a person's own samples, which are brought to what the model was trained on."""
    if workers is None:
        workers = num_workers(len(split), batch_size, own_size)
    preprocess = restored.preprocess.for_files(restored.card)
    return StreamedLoader(split, preprocess, restored.device, restored.spec.seed, on_fault, own_size, workers)


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Give a module its weights. Raises MaeError naming what is missing, left over, of another shape or not finite."""
    own = module.state_dict()
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    other = [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    for what, names in (
        ("lacks", missing),
        ("has no place for", extra),
        ("has another shape for", sorted(other)),
    ):
        if names:
            parts = sorted({name.split(".")[0] for name in names})
            raise MaeError(
                f"{source} {what} {len(names)} of {len(own)} tensors (of {', '.join(parts)}; first {names[0]}), so it "
                "is not a checkpoint of this task and model"
            )
    check_finite(tensors, source)
    module.load_state_dict(dict(tensors))
