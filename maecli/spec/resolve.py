"""From what a person asks for to one spec, in two passes.

First the data set, the task and the model are chosen, each by the topmost layer that names one; then every layer is
stacked once: defaults, a plan, the data set's recipe, `--init`, recipe, what the encoder can do, file, `--set`, flags.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from maecli.errors import PluginError, SpecError
from maecli.registry import Registry
from maecli.schema import PLUGIN_SECTIONS, RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import INIT_LAYER, Layer, Settings, flatten, merge, nest, topmost
from maecli.spec.recipes import DEFAULTS, parse_sets, read_config, read_document
from maecli.spec.validate import validate

OF_PIXELS = frozenset({"data.channels", "data.mean", "data.std"})
"""What the pixels of a data set are like."""
OF_LABELS = frozenset({"data.labels", "data.sampling"})
"""What was made of the labels of a data set."""
OF_ONE_RUN = OF_LABELS | {"data.folds", "data.fold"}
"""What says nothing of the next run: what was made of labels, and what was left out."""
LENGTH = (
    *("train.epochs", "train.max_steps", "train.warmup_epochs"),
    *("eval_every_epochs", "checkpoint.every_epochs"),
)
"""What says how long a run trains, and what is meant in parts of that."""
Offer = Mapping[str, Any]
"""What `--init` says of the run to come: the spec of a run, or of a foreign file the options of its model, which has no
name, and how its pixels were normalised."""


def resolve(ask: Ask, registry: Registry, offer: Offer | None = None, base: Layer | None = None) -> RunSpec:
    """Return the spec that an ask amounts to. `offer` is that of `--init`; `base`, a whole spec, replaces defaults."""
    settings, sources = stack(ask, registry, offer, base)
    _check_shares(settings, sources, registry)
    if "paths" in settings:
        settings["paths"] = _still_meant(settings["paths"], sources)
    return validate(nest(settings), ask.verb, registry).with_sources(sources)


def stack(
    ask: Ask, registry: Registry, offer: Offer | None = None, base: Layer | None = None
) -> tuple[Settings, dict[str, str]]:
    """Return the settings that an ask amounts to, not yet validated, and the source of each key.

    What recipes say and the chosen encoder cannot do is replaced; what a person says never is.
    """
    command_line = [*ask.extra, *_command_line(ask)]
    task = _name("task", command_line)
    defaults = [base or _recipe(DEFAULTS, ask.verb, registry)]
    if ask.plan is not None:
        defaults.append(ask.plan)
    init = [Layer.of(INIT_LAYER, {key: offer[key] for key in ("dataset", "model") if key in offer})] if offer else []
    without = LENGTH if ask.for_time else ()
    recipe = [_recipe(ask.recipe, ask.verb, registry, task=task).without(without)] if ask.recipe is not None else []
    config = ask.config
    file = [Layer.of(str(config), read_config(config, ask.verb, task))] if config is not None else []

    layers = [*defaults, *init, *recipe, *file, *command_line]
    dataset = _name("dataset", layers)
    if dataset is None and topmost("dataset.root", layers) is not None:
        dataset = the_one_meant("meant_by_root", registry)
        defaults.append(Layer("--root", {} if dataset is None else {"dataset.name": dataset}))
        layers = [*defaults, *init, *recipe, *file, *command_line]
    if dataset is not None and base is None:
        own = registry.dataset(dataset).recipe
        if own is not None and own != ask.recipe:
            task = _name("task", [*init, *recipe, *file, *command_line])  # its recipe may choose that, if nobody does
            defaults.append(_recipe(own, ask.verb, registry, required=False, task=task).without(without))
            layers = [*defaults, *init, *recipe, *file, *command_line]
    task, model = _name("task", layers), _name("model", layers)

    if offer:
        if "name" not in offer["model"] and _name("model", [*recipe, *file, *command_line]) is None:
            model = model_like(offer["model"], registry) or model
            offer = {**offer, "model": {"name": model, **offer["model"]}}
        settings = _suited(offer, dataset, model, registry)
        if task is not None:
            settings |= _of_task(offer, ask.verb, task, registry)
        init = [Layer(INIT_LAYER, settings)]
    recipes = [*defaults, *init, *recipe]
    if base is None and task is not None and model is not None:
        frozen = bool(topmost("train.freeze", layers))
        recipes.append(_concessions(recipes, task, model, frozen, registry))
    return merge([*recipes, *file, *command_line])


def the_one_meant(by: Literal["meant_by_root", "meant_by_rows"], registry: Registry) -> str | None:
    """Return the data set that is meant where none is named, if of those installed exactly one says so of itself."""
    found = []
    for name in registry.names("dataset"):
        with contextlib.suppress(PluginError):  # whoever named it would be told
            if getattr(registry.dataset(name), by):
                found.append(name)
    return found[0] if len(found) == 1 else None


def model_like(options: Mapping[str, Any], registry: Registry) -> str | None:
    """Return the model that differs least from these options of a plain vision transformer; None where none has them.

    Of models that have them one with the fewest others is the plainest.
    """
    found = []
    for name in registry.names("model"):
        with contextlib.suppress(PluginError):  # whoever named it would be told
            model = registry.model(name)
            fields = model.Options.model_fields
            if model.can_mask and model.num_axes == 2 and options.keys() <= fields.keys():
                differing = sum(fields[key].default != value for key, value in options.items())
                found.append((len(fields), differing, name))
    return min(found)[2] if found else None


def _still_meant(paths: Any, sources: Mapping[str, str]) -> Any:
    """Return of the recorded places those whose path is of the same layer: another layer's is meant from here."""
    if not isinstance(paths, list | tuple):
        return paths
    return [
        path
        for path in paths
        if not (isinstance(path, Mapping) and isinstance(key := path.get("key"), str))
        or sources.get(key) == sources["paths"]
    ]


def _check_shares(settings: Settings, sources: Mapping[str, str], registry: Registry) -> None:
    """Raise SpecError for the share of a split that the chosen data set does not cut."""
    name = settings.get("dataset.name")
    for split in ("val", "test"):
        option = f"{split}_share"
        if name is None or sources.get(f"dataset.{option}") != "flag":
            continue
        if option not in registry.dataset(name).Options.model_fields:
            raise SpecError(f"--{split}-share: {name} has a {split} split of its own and cuts none; leave it out")


def _name(section: str, layers: Sequence[Layer]) -> str | None:
    """Return the name of the plugin that the layers together choose, if they do."""
    name = topmost(f"{section}.name", layers)
    return None if name is None else str(name)


def _command_line(ask: Ask) -> tuple[Layer, Layer]:
    """Return the layers of `--set` and of flags; what `--set` says of a section is meant for the plugin of its flag."""
    sets, flags = parse_sets(ask.sets), dict(ask.flags)
    for section in PLUGIN_SECTIONS:
        name = flags.get(f"{section}.name")
        if name is not None and any(key.startswith(f"{section}.") for key in sets):
            sets.setdefault(f"{section}.name", name)
    return Layer("--set", sets), Layer("flag", flags)


def _recipe(name: str, verb: str, registry: Registry, required: bool = True, task: str | None = None) -> Layer:
    where = f"recipe {name}"
    return Layer.of(where, read_document(registry.recipe(name), verb, where, required, task))


def _suited(offer: Offer, dataset: str | None, model: str | None, registry: Registry) -> Settings:
    """Return what `--init` offers to the chosen data set and model, less what only concerned the run that it was.

    Channels and normalising belonged to the data of that run; those of a file of others are of what it is for. Its
    model's options are for models that have them.
    """
    options = dict(offer["model"])
    if "dataset" not in offer:  # a file of others
        known = {"name", *registry.model(model).Options.model_fields} if model is not None else options
        model_options = {key: value for key, value in options.items() if key in known}
        return flatten({"model": model_options, "data": offer.get("data", {})})
    for key in registry.model(options["name"]).training_only:
        options.pop(key, None)
    # What was left open stays open; which labels a run took, and how often, says nothing of the next.
    left_out = OF_ONE_RUN if dataset == offer["dataset"]["name"] else OF_ONE_RUN | OF_PIXELS
    data = flatten({"data": offer["data"]})
    kept = {key: value for key, value in data.items() if value is not None and key not in left_out}
    recorded = [path for path in offer.get("paths") or () if isinstance(path, Mapping)]
    paths = [path for path in recorded if str(path.get("key")).startswith("dataset.")]
    return flatten({"dataset": offer["dataset"], "model": options}) | kept | ({"paths": paths} if paths else {})


def _of_task(offer: Offer, verb: str, task: str, registry: Registry) -> Settings:
    """Return the options of the task by which what stands behind the encoder of `--init`, as a decoder, fits in.

    Of a run that is pretrained on, these are its `head_options`; what was left open stays open.
    """
    options, plugin = offer.get("task", {}), registry.task(task)
    known = set(plugin.Options.model_fields)
    if "dataset" in offer:
        same = verb == offer.get("verb") == "pretrain" and options.get("name") == task
        known = set(plugin.head_options) if same else set()
    return {f"task.{name}": value for name, value in options.items() if name in known and value is not None}


def _concessions(recipes: Sequence[Layer], task: str, model: str, frozen: bool, registry: Registry) -> Layer:
    """Return what replaces settings of recipes that the encoder, as it is or frozen, cannot serve."""
    plugin = registry.model(model)
    settings = dict(plugin.concessions)
    if frozen or not plugin.can_mask:
        settings |= {f"task.{name}": value for name, value in registry.task(task).on_whole_pictures.items()}
    replaceable = {key for layer in recipes for key in layer.settings}
    return Layer("what the encoder can do", {key: value for key, value in settings.items() if key in replaceable})
