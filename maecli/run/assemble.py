"""From a spec, or a checkpoint, to the objects that a run works with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.preprocess import Preprocess
from maecli.data.randomness import derive_seed
from maecli.errors import MaeError, SpecError
from maecli.models.encoder import Encoder
from maecli.models.plugin import Model
from maecli.registry import Registry
from maecli.run.plugins_used import missing_packages, plugins_used, recorded_in, tell_changes
from maecli.schema import PluginSection, RunSpec
from maecli.spec.validate import validate, validate_options
from maecli.training.checkpoint import Checkpoint, DamagedCheckpoint, check_finite, notes_on
from maecli.training.task import Task

ENCODER = "encoder."
"""What the names of an encoder's tensors begin with in our checkpoints."""


MAX_LENGTH = 65_536
"""Pixels, cells or steps along an axis of what a model takes."""


@dataclass
class Assembly:
    """A task, the module it trains, and what both know of the data."""

    card: DataCard
    preprocess: Preprocess
    task: Task[Any]
    module: nn.Module
    plugins: list[dict[str, str]] = field(default_factory=list)
    """The plugins that the run uses, with their packages and versions."""

    def metadata(self, spec: RunSpec) -> dict[str, Any]:
        """Return what a checkpoint records, enough to rebuild the module without the data."""
        return {
            "verb": spec.verb,
            "task": self.task.name,
            "spec": spec.model_dump(mode="json"),
            "card": self.card.model_dump(mode="json"),
            "preprocess": asdict(self.preprocess),
            "plugins": self.plugins,
        }


def make_dataset(section: PluginSection, registry: Registry) -> Dataset:
    plugin = registry.dataset(section.name)
    return plugin(validate_options("dataset", section.name, section.options, plugin.Options))  # type: ignore[arg-type]


def make_model(section: PluginSection, registry: Registry) -> Model:
    plugin = registry.model(section.name)
    return plugin(validate_options("model", section.name, section.options, plugin.Options))


def image_size(model: Model, card: DataCard) -> tuple[int, ...]:
    """Return the size that the model works at: its option, else the data's own, else the model's default."""
    axes = len(card.size) if card.size is not None else 2
    wanted = model.options.img_size
    if wanted is None:
        return card.size if card.size is not None else (model.default_img_size,) * axes
    size = (wanted,) * axes if isinstance(wanted, int) else tuple(wanted)
    if len(size) != axes or min(size) < 1:
        raise SpecError(f"model.img_size {list(size)} must be {axes} positive numbers for {card.name}")
    return size


def build_encoder(model: Model, preprocess: Preprocess) -> Encoder:
    """Return a new encoder. Raises SpecError where options do not fit each other."""
    try:
        return model.build(preprocess.in_chans, preprocess.img_size)
    except ValueError as error:
        raise SpecError(f"model {model.name}: {error}") from error


def assemble(spec: RunSpec, card: DataCard, registry: Registry) -> Assembly:
    """Return new objects for a run, its weights initialised from the seed."""
    model = make_model(spec.model, registry)
    size = image_size(model, card)
    preprocess = Preprocess.of(card, size, spec.data.channels, spec.data.mean, spec.data.std)
    return _assemble(spec, card, preprocess, model, registry)


def _assemble(spec: RunSpec, card: DataCard, preprocess: Preprocess, model: Model, registry: Registry) -> Assembly:
    plugin = registry.task(spec.task.name)
    options = validate_options("task", spec.task.name, spec.task.options, plugin.Options)
    task = plugin(options, card, preprocess)
    torch.manual_seed(derive_seed(spec.seed, "weights"))
    encoder = build_encoder(model, preprocess)
    if spec.train.freeze:
        encoder.freeze()  # before the task builds on it, which may want to know
    try:
        module = task.build(encoder)
    except ValueError as error:
        raise SpecError(f"task {task.name}: {error}") from error
    return Assembly(card, preprocess, task, module, plugins_used(spec, registry))


def load_assembly(
    checkpoint: Checkpoint, registry: Registry, say: Callable[[str], None] | None = None
) -> tuple[RunSpec, Assembly]:
    """Return the spec of a checkpoint and its objects with its weights; the data need not be there.

    `say` is told of plugins that have another version now. Raises MaeError when tensors are missing or left over,
    PluginError naming the package to install when a plugin is.
    """
    spec, card, preprocess = read_recorded(checkpoint, registry, say)
    assembly = _assemble(spec, card, preprocess, make_model(spec.model, registry), registry)
    load_exactly(assembly.module, checkpoint.tensors(), str(checkpoint.path))
    return spec, assembly


def read_recorded(
    checkpoint: Checkpoint, registry: Registry, say: Callable[[str], None] | None = None
) -> tuple[RunSpec, DataCard, Preprocess]:
    """Return what a checkpoint says of its run, its data, and how these are brought to the model.

    It names no tracker: those of a run that is only read need not be installed.
    `say` is told of plugins that have another version now. Raises PluginError naming the package of a missing plugin.
    """
    metadata = checkpoint.metadata()
    with missing_packages(recorded_in(metadata), checkpoint.path):
        try:
            card, preprocess = DataCard.model_validate(metadata["card"]), _as_preprocess(metadata["preprocess"])
            spec = validate(metadata["spec"] | {"trackers": []}, metadata["verb"], registry)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DamagedCheckpoint(f"{checkpoint.path} records no run that this mae can read ({reason})") from error
    tell_changes(metadata, registry, checkpoint.path, say)
    if say is not None:
        for note in notes_on(checkpoint):
            say(note)
    return spec, card, preprocess


def _as_preprocess(recorded: Mapping[str, Any]) -> Preprocess:
    """Return what was recorded of the preprocessing. Raises ValueError for what is none."""
    preprocess = TypeAdapter(Preprocess).validate_python(recorded)
    numbers = (*preprocess.value_range, *preprocess.mean, *preprocess.std)
    channels = {preprocess.in_chans, len(preprocess.mean), len(preprocess.std)}
    if not all(map(math.isfinite, numbers)) or min(preprocess.std, default=0) <= 0 or len(channels) > 1:
        raise ValueError("its mean and std do not fit its channels")
    if not preprocess.img_size or not all(0 < length <= MAX_LENGTH for length in preprocess.img_size):
        raise ValueError(f"it has the size {str(preprocess.img_size)[:60]}")
    return preprocess


def encoder_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's of a checkpoint's tensors, under their names in the encoder."""
    return {name.removeprefix(ENCODER): tensor for name, tensor in tensors.items() if name.startswith(ENCODER)}


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
