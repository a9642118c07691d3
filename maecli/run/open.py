"""From a spec to what a run works with: its data, its preprocessing, its task, its module, on a device.

`maecli.run.restore` gives the same from a checkpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import nn

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.classes.known_classes import KnownClasses
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.folds import Folds
from maecli.data.labels import WHOLE, TrainingPart, training_part
from maecli.data.randomness import derive_seed
from maecli.data.sample import Split
from maecli.errors import DataError, SpecError, nearest
from maecli.hardware import choose_device, choose_dtype, keep_freed_memory
from maecli.loading import make_loader
from maecli.loading.loader import Loader
from maecli.modalities.modality import Modality
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.models.lora import add_lora
from maecli.models.plugin import Model
from maecli.outputs.faults import Faults
from maecli.registry import Registry
from maecli.run.data.begun import Begun, check_form
from maecli.run.data.class_counts import with_counts
from maecli.run.data.paths import EXTEND, INIT, as_located, resolved_paths
from maecli.run.data.sampling import sampling_chances
from maecli.run.data.target_scale import with_target_scale
from maecli.run.directory import Say
from maecli.run.plugins_used import plugins_used
from maecli.run.weights.initial_card import initial_card
from maecli.run.weights.pixels import fitted_to
from maecli.schema import PluginSection, ResolvedPath, RunSpec
from maecli.spec.validate import validate_options
from maecli.storage.shareable import shareable
from maecli.text import one_line
from maecli.training.base import Base
from maecli.training.task import Task

CLASS_FACTS = ("classes", "multi_label", "mask_classes", "mask_palette", "background", "void")
"""What a card says of classes, by which a head is built."""


def make_dataset(
    section: PluginSection,
    registry: Registry,
    paths: Sequence[ResolvedPath] = (),
    say: Say = lambda _: None,
) -> Dataset:
    """Return a data set; `paths` is where those of its options led when its run began, see `maecli.run.data.paths`."""
    dataset = registry.dataset(section.name)(as_located(_options(section, registry), paths, say))
    return dataset.told_by(lambda line: say(one_line(line)))


def _options(section: PluginSection, registry: Registry) -> DatasetOptions:
    plugin = registry.dataset(section.name)
    return validate_options("dataset", section.name, section.options, plugin.Options)  # type: ignore[return-value]


def with_paths(spec: RunSpec, registry: Registry) -> RunSpec:
    """Return a spec that records where its paths lead now."""
    starts = {INIT: spec.init, EXTEND: spec.extend}
    paths = resolved_paths(_options(spec.dataset, registry), starts, spec.paths)
    return spec.model_copy(update={"paths": paths})


def make_model(section: PluginSection, registry: Registry) -> Model:
    plugin = registry.model(section.name)
    return plugin(validate_options("model", section.name, section.options, plugin.Options))


def make_modality(card: DataCard, registry: Registry) -> Modality:
    """Return the kind of a card's samples. Raises DataError where these have other axes."""
    modality = registry.modality(card.modality)()
    if card.size is not None and len(card.size) != modality.axes:
        raise DataError(
            f"{card.name} has samples of size {card.size}, and {card.modality} have {modality.axes} axes; its card "
            "names another modality than it has"
        )
    return modality


def image_size(model: Model, card: DataCard, modality: Modality) -> tuple[int, ...]:
    """Return the size that the model works at: its option, else the data's own, else the model's default."""
    axes = len(card.size) if card.size is not None else modality.axes
    option = model.options.img_size
    if option is None:
        return card.size if card.size is not None else (model.default_img_size,) * axes
    size = (option,) * axes if isinstance(option, int) else tuple(option)
    if len(size) != axes or min(size) < 1:
        raise SpecError(f"model.img_size {list(size)} must be {axes} positive numbers for {card.name}")
    return size


def preprocess_for(spec: RunSpec, card: DataCard, registry: Registry) -> Preprocess:
    """Return how samples of a card are brought to the model of a spec."""
    modality = make_modality(card, registry)
    size, data = image_size(make_model(spec.model, registry), card, modality), spec.data
    modality.check_augment(spec.augment)
    return Preprocess.of(card, size, data.channels, data.mean, data.std, modality, data.fit)


def build_encoder(model: Model, preprocess: Preprocess, size_option: str = "") -> Encoder:
    """Return a new encoder. Raises SpecError where options do not fit each other.

    `size_option` is the data set's own that chooses the size, if one does.
    """
    try:
        return model.build(preprocess.in_chans, preprocess.img_size)
    except ValueError as error:
        of_data = size_option and model.options.img_size is None and "img_size" in str(error)
        here = f"; here img_size is {size_option}" if of_data else ""
        raise SpecError(f"model {model.name}: {error}{here}") from error


def task_options(spec: RunSpec, registry: Registry) -> BaseModel:
    """Return the options of a spec's task, checked."""
    return validate_options("task", spec.task.name, spec.task.options, registry.task(spec.task.name).Options)


def make_task(spec: RunSpec, card: DataCard, preprocess: Preprocess, registry: Registry) -> Task[Any]:
    return registry.task(spec.task.name)(task_options(spec, registry), card, preprocess)


def build_module(
    spec: RunSpec, card: DataCard, preprocess: Preprocess, registry: Registry
) -> tuple[Task[Any], nn.Module]:
    """Return the task of a spec and the module that it trains, whose weights follow from the seed."""
    task = make_task(spec, card, preprocess, registry)
    torch.manual_seed(derive_seed(spec.seed, "weights"))
    size_option = registry.dataset(spec.dataset.name).size_option
    encoder = build_encoder(make_model(spec.model, registry), preprocess, size_option)
    _freeze(encoder, spec)  # before the task builds on it, which may want to know
    try:
        module = task.build(encoder)
    except ValueError as error:
        raise SpecError(f"task {task.name}: {error}") from error
    _adapt(encoder, spec)
    return task, module


def _freeze(encoder: Encoder, spec: RunSpec) -> None:
    """Keep of an encoder what is not to learn. Raises SpecError for more blocks than there are."""
    if spec.train.freeze:
        encoder.freeze()
    if spec.train.freeze_blocks:
        try:
            encoder.freeze_blocks(spec.train.freeze_blocks)
        except ValueError as error:
            raise SpecError(f"model {spec.model.name}: {error}") from error


def _adapt(encoder: Encoder, spec: RunSpec) -> None:
    """Give an encoder the adapters that are to learn, from the seed. Raises SpecError where they do not suit it."""
    if (adapt := spec.adapt) is None:
        return
    torch.manual_seed(derive_seed(spec.seed, "adapters"))
    try:
        add_lora(encoder, adapt.rank, adapt.alpha, adapt.layers, adapt.dropout)
    except ValueError as error:
        raise SpecError(f"model {spec.model.name}: {error}") from error


def check_split(split: str) -> None:
    """Raise SpecError for a word that is no split."""
    if split not in SPLIT_NAMES:
        raise SpecError(f"split {split!r} is none of {', '.join(SPLIT_NAMES)}{nearest(split, SPLIT_NAMES)}")


class Data:
    """The data set of a spec, opened for samples that carry `fields`; each split is made when it is first needed.

    What is known of files that are left out is told after a split is made, since making one may find more.
    """

    def __init__(
        self,
        spec: RunSpec,
        registry: Registry,
        fields: Sequence[str],
        faults: Faults,
        learner: str = "this task",
        card: DataCard | None = None,
        begun: Begun | None = None,
        ignore_unknown_classes: bool = False,
        like: DataCard | None = None,
        glance: int | None = None,
    ) -> None:
        """Take the card from `card` where there is a run already: the classes of the data are then those of the run.

        They are matched by name; what the run does not know is refused, or left out if that is asked for.
        Samples are read as those of that card, or of the card `like`.
        `begun` is what a run recorded when it began, whose samples then stay in their splits.
        `learner` is what learns from the labels, as a message names it. With `glance` so many files stand for all,
        where nothing is learnt from them.
        """
        self.ignore_unknown_classes = ignore_unknown_classes
        self.spec, self.registry, self.fields, self.faults, self.learner = spec, registry, fields, faults, learner
        self._card, self._begun, self._like = card, begun, card or like
        self._splits: dict[SplitName, Split] = {}
        self._glance = glance

    @cached_property
    def dataset(self) -> Dataset:
        dataset = make_dataset(self.spec.dataset, self.registry, self.spec.paths, self.faults.say)
        if self._like is not None:
            dataset.read_as(self._like)
        elif (first := initial_card(self.spec)) is not None:
            dataset.begin_from(first)
        if self._glance is not None:
            dataset.glance(self._glance)
        kept = self._begun.kept(dataset, self.faults.say) if self._begun is not None else self._folded(dataset)
        if self._card is None:
            return kept
        return KnownClasses(kept, self._card, self.fields, self.ignore_unknown_classes, dataset)

    def _folded(self, dataset: Dataset) -> Dataset:
        """Return the data set with the splits of a run of a cross-validation, where the spec is one's."""
        data = self.spec.data
        return dataset if data.folds is None else Folds(dataset, data.folds).view(data.fold)

    @cached_property
    def card(self) -> DataCard:
        """What tells of all the samples. Raises DataError where the data are missing."""
        return self.dataset.card(self.fields) if self._card is None else self._card

    def serves(self, spec: RunSpec) -> bool:
        """Whether a spec reads the same data, so that `with_spec` gives what opening them anew would."""
        own, other = (
            (each.dataset, each.data, each.paths, each.init, each.seed, each.task.name) for each in (self.spec, spec)
        )
        return own == other

    def with_spec(self, spec: RunSpec) -> Data:
        """Return the same data, opened as they are, for a spec that reads them alike and trains otherwise."""
        data = copy.copy(self)
        data.spec = spec
        return data

    @cached_property
    def training(self) -> TrainingPart:
        """The training samples, or the part of them that `data.labels` leaves."""
        part = str(self.spec.data.labels or WHOLE)
        training = training_part(self.dataset, self.card, self.fields, part, self.spec.seed, self.learner)
        self.faults.update(self.dataset.faults())
        return training

    def split(self, name: SplitName) -> Split:
        """Return the samples of a split, of training those that are learnt from. May be empty."""
        if name == "train":
            return self.training.split
        if name not in self._splits:
            self._splits[name] = self.dataset.split(name, self.fields)
            self.faults.update(self.dataset.faults())
        return self._splits[name]

    def samples(self, name: SplitName) -> Split:
        """Return the samples of a split. Raises DataError where there are none."""
        split = self.split(name)
        if len(split) == 0:
            fields, sizes = ", ".join(self.fields), self.dataset.card(self.fields).split_sizes
            all_learnt = name == "test" and self.spec.data.folds is not None and self.spec.data.fold is None
            why = "; it learnt from all, and its folds tell how good it is" if all_learnt else ""
            raise DataError(f"{self.spec.dataset.name} has no {name} samples with {fields}; it has {sizes}{why}")
        return split

    def sentences(self) -> list[str]:
        """Return what a person should know of how the classes of the data were matched with those of a run."""
        return self.dataset.sentences() if isinstance(self.dataset, KnownClasses) else []

    def left_out(self, name: SplitName) -> dict[str, int]:
        """Return what of a split is not looked at because a run does not know its class, and how much."""
        return self.dataset.left_out(name) if isinstance(self.dataset, KnownClasses) else {}

    def num_broken(self, split: Split) -> int:
        """Return how many samples of a split are among the files that are left out."""
        broken = {fault.path for fault in self.faults}
        return sum(key in broken for key in split.keys) if broken else 0

    def num_broken_samples(self) -> int:
        """Return how many of the files left out count among what was read: it showed only when they were decoded."""
        return sum(self.num_broken(self.dataset.split(name)) for name in SPLIT_NAMES) if self.faults else 0

    def loader(self, name: SplitName, preprocess: Preprocess, device: torch.device, own_size: bool = False) -> Loader:
        """Return a new loader of a split."""
        spec, chain = self.spec, name == "train" and bool(self.spec.augment.chain)
        return make_loader(self.split(name), preprocess, device, spec.seed, spec.data, self.faults.add, own_size, chain)

    def chances(self) -> NDArray[np.float64] | None:
        """Return how likely training is to draw each of its samples, None where an epoch visits each once."""
        way, (split, card) = self.spec.data.sampling, (self.training.split, self.training.card)
        return sampling_chances(way, self.dataset, split, card, self.fields, self.learner, self.faults.say)


@dataclass
class Built:
    """Everything that a run works with."""

    spec: RunSpec
    data: Data
    card: DataCard
    """Of the samples that are learnt from."""
    preprocess: Preprocess
    task: Task[Any]
    module: nn.Module
    """On the device."""
    device: torch.device
    dtype: torch.dtype
    base: Base | None = field(default=None, init=False)
    """The weights of `--init` that a checkpoint need not hold, since nothing changes them."""
    _loaders: dict[SplitName, Loader] = field(default_factory=dict, init=False, repr=False)

    def loader(self, name: SplitName) -> Loader:
        """Return the loader of a split; it is made when it is first needed."""
        if name not in self._loaders:
            self._loaders[name] = self.data.loader(name, self.preprocess, self.device, self.task.own_size)
        return self._loaders[name]

    def metadata(self) -> dict[str, Any]:
        """Return what a checkpoint records, enough to build the module again without the data."""
        record = {
            "verb": self.spec.verb,
            "task": self.task.name,
            "spec": self.spec.model_dump(mode="json"),
            "card": self.card.model_dump(mode="json"),
            "preprocess": self.preprocess.record(),
            "plugins": [used._asdict() for used in plugins_used(self.spec, self.data.registry)],
        }
        return dict(shareable(record))


def open_run(
    spec: RunSpec,
    registry: Registry,
    say: Say,
    begun: Begun | None = None,
    recorded: DataCard | None = None,
    opened: Data | None = None,
) -> Built:
    """Return what a spec names, its weights as the seed gives them; `say` is told of files that are left out.

    To go on with a run, `begun` is what it recorded of its data and `recorded` their card: what was measured stays.
    `opened` are its data, where they are open already.
    Raises SpecError where parts of the spec do not fit each other, DataError where the data are missing.
    """
    keep_freed_memory()
    device, dtype = open_device(spec)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    check_task(spec, registry)
    fields = registry.task(spec.task.name).fields
    if opened is None:
        faults = Faults(say, spec.data.strict)
        data = Data(spec, registry, fields, faults, spec.task.name, begun=begun, like=recorded)
    else:
        data = opened.with_spec(spec)
    card = data.training.card if recorded is None else as_measured(data.training.card, recorded)
    counted = registry.task(spec.task.name).counted(task_options(spec, registry))
    card = with_counts(card, counted, data.dataset, data.training.split, say)
    card = with_target_scale(card, fields, data.dataset, data.training.split)
    spec = fitted_to(spec, card, registry)
    preprocess = preprocess_for(spec, card, registry)
    task, module = build_module(spec, card, preprocess, registry)
    return Built(spec, data, card, preprocess, task, module.to(device), device, dtype)


def as_measured(now: DataCard, recorded: DataCard) -> DataCard:
    """Return the card of a run that goes on: as it was measured, with the classes that the data have now.

    Raises DataError where samples are of another form now, as one picture in colour that was added may make them.
    """
    check_form(now, recorded)
    facts = CLASS_FACTS if now.classes == recorded.classes else (*CLASS_FACTS, "class_counts")
    return recorded.model_copy(update={fact: getattr(now, fact) for fact in facts})


def open_device(spec: RunSpec) -> tuple[torch.device, torch.dtype]:
    """Return where a run computes, and in which precision. Raises SpecError for a device that is not there."""
    device = choose_device(spec.device)
    return device, choose_dtype(spec.precision, device)


def check_task(spec: RunSpec, registry: Registry) -> None:
    """Raise SpecError when the task belongs to the other verb."""
    task = registry.task(spec.task.name)
    if task.verb != spec.verb:
        raise SpecError(f"task {spec.task.name} is for mae {task.verb}, not for mae {spec.verb}")
