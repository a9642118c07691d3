"""From flags, files and recipes to one spec.

Each lies over the one before: defaults, the data set's recipe, `--init`, recipe, file, `--set`, flags.

A plugin's options belong to the plugin that is named beside them: a layer that names another plugin drops what the
layers below said about the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import BaseModel, ValidationError

from maecli.errors import DamagedFile, SpecError, nearest
from maecli.registry import Registry
from maecli.schema import SPECS, PluginSection, RunSpec
from maecli.storage import documents
from maecli.text import brief, shortened

Tree = dict[str, Any]
PLUGIN_SECTIONS = ("dataset", "task", "model")
DEFAULTS = "defaults"
"""The recipe that every run starts from."""
OF_PIXELS = ("channels", "mean", "std")
"""Keys of `data` that say what the pixels of a data set are like."""
SWEEP = "sweep"
"""The section of a recipe that says which runs belong together; it serves no verb that trains."""


@dataclass(frozen=True)
class Layer:
    """Settings from one source, nested as in a spec file."""

    source: str
    settings: Tree


@dataclass(frozen=True)
class Resolved:
    """A complete spec, and for each dotted key the source of its value (unset ones are the plugin's default)."""

    spec: RunSpec
    sources: dict[str, str] = field(default_factory=dict)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of a nested dict; lists are values."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def nest(settings: Mapping[str, Any]) -> Tree:
    """Return the nested dict of dotted keys: the inverse of `flatten`."""
    tree: Tree = {}
    for dotted, value in settings.items():
        *path, last = dotted.split(".")
        if not all((*path, last)):
            raise SpecError(f"the key {brief(dotted)} has an empty part; write keys as in train.epochs")
        if len(path) >= documents.MAX_DEPTH:
            raise SpecError(f"the key {brief(dotted)} has more than {documents.MAX_DEPTH} parts")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise SpecError(f"{shortened(dotted)}: {shortened(part)} is a value, not a section")
        branch[last] = value
    return tree


def parse_sets(assignments: Sequence[str]) -> Tree:
    """Return the nested settings of `--set a.b=c` arguments; values are read as YAML."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise SpecError(f"--set {brief(assignment)} is not of the form a.b=c")
        settings[key.strip()] = parse_yaml(text, f"--set {shortened(key)}")
    return nest(settings)


def parse_yaml(text: str, where: str) -> Any:
    """Return a YAML value. Raises SpecError, which begins with `where`."""
    try:
        return documents.parse_yaml(text)
    except ValueError as error:
        raise SpecError(f"{where} is not valid YAML: {error}") from error


def read_document(text: str, verb: str, where: str, required: bool = True, task: str | None = None) -> Tree:
    """Return the settings for `verb` in a YAML document.

    A document is one spec, or a recipe with a section per verb; a section VERB-TASK serves that task instead. Raises
    SpecError when it is for other verbs only, unless it is not `required` to have anything for this one.
    """
    tree = parse_yaml(text, where)
    if not isinstance(tree, dict):
        raise SpecError(f"{where} must be a YAML mapping")
    sections = [name for name in tree if str(name).split("-")[0] in SPECS]
    if SWEEP in tree and not sections and required:
        raise SpecError(f"{where} is a sweep of many runs, not a spec of mae {verb}; run it by mae sweep")
    if sections or SWEEP in tree:
        unknown = set(tree) - set(sections) - {"about", SWEEP}
        if unknown:
            raise SpecError(f"{where}: a recipe has sections per verb, not {shortened(', '.join(sorted(unknown)))}")
        name = f"{verb}-{task}" if f"{verb}-{task}" in sections else verb
        if name not in sections:
            if not required:
                return {}
            raise SpecError(f"{where} has no section for {verb}, only for {', '.join(sections)}")
        section = tree[name] or {}
        if not isinstance(section, dict):
            raise SpecError(f"{where}: {name} must be a YAML mapping")
        return section
    if tree.get("verb", verb) != verb:
        raise SpecError(f"{where} is a spec of mae {shortened(str(tree['verb']))}, not of mae {verb}")
    return tree


def read_sweep(text: str, where: str) -> Tree | None:
    """Return the section `sweep` of a recipe or file, None where it has none."""
    tree = parse_yaml(text, where)
    section = tree.get(SWEEP) if isinstance(tree, dict) else None
    if section is not None and not isinstance(section, dict):
        raise SpecError(f"{where}: {SWEEP} must be a YAML mapping")
    return section


def read_config(path: Path, verb: str, task: str | None = None) -> Tree:
    """Return the settings for `verb` in a spec or recipe file."""
    return read_document(read_file(path), verb, str(path), task=task)


def read_file(path: Path) -> str:
    """Return the text of what `--config` names."""
    try:
        return documents.read_text(path, documents.MAX_YAML_BYTES)
    except FileNotFoundError as error:
        raise SpecError(f"--config {path} cannot be read: there is no such file") from error
    except DamagedFile as error:
        raise SpecError(f"--config {error}") from error


def merge(layers: Sequence[Layer]) -> tuple[Tree, dict[str, str]]:
    """Lay the layers over each other, later ones on top; return the settings and each key's source."""
    flat: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        for section in PLUGIN_SECTIONS:
            chosen = layer.settings.get(section) or {}
            if not isinstance(chosen, Mapping):
                raise SpecError(
                    f"{layer.source}: {section} is a section; write {section}.name: {shortened(str(chosen))}"
                )
            name = chosen.get("name")
            if name is not None and name != flat.get(f"{section}.name", name):
                for key in [key for key in flat if key.startswith(f"{section}.")]:
                    del flat[key], sources[key]
        for key, value in flatten(layer.settings):
            flat[key] = value
            sources[key] = layer.source
    return nest(flat), sources


def explain(error: ValidationError, model: type[BaseModel], section: str = "") -> SpecError:
    """Return one sentence for the first thing that pydantic found wrong."""
    first = error.errors(include_url=False)[0]
    path, known = _fields_along(model, first["loc"])
    if first["type"] == "extra_forbidden":
        unknown = str(first["loc"][-1])
        key = ".".join([*([section] if section else []), *path, unknown])
        return SpecError(f"unknown key {brief(key)}{nearest(unknown, known)}; known: {', '.join(known)}")
    key = ".".join([*([section] if section else []), *path]) or "a key of the spec"
    if first["type"] == "missing" and len(path) == len(first["loc"]):
        way = f"--set {key}=…" if section else f"--{path[0]}"
        return SpecError(f"{key} is not set: give {way}, a --recipe or a --config file")
    if first["type"] == "value_error":
        return SpecError(shortened(str(first["ctx"]["error"]), 500))
    text = first["msg"][0].lower() + first["msg"][1:]
    return SpecError(f"{key} is {brief(first['input'])}: {text}")


def _fields_along(model: type[BaseModel], location: Sequence[str | int]) -> tuple[list[str], list[str]]:
    """Return the part of pydantic's location that names fields, and the fields known where it ends.

    What follows it names the types of a union, or a position in a list.
    """
    path: list[str] = []
    for part in map(str, location):
        if part not in model.model_fields:
            break
        path.append(part)
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return path, sorted(model.model_fields)


def validate_options(section: str, name: str, options: Mapping[str, Any], model: type[BaseModel]) -> BaseModel:
    """Return a plugin's options, checked by its own model. Raises SpecError naming the key."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        explained = explain(error, model, section)
        raise SpecError(f"{explained} (options of {name})") from error


def validate(tree: Tree, verb: str, registry: Registry, sections: Sequence[str] = PLUGIN_SECTIONS) -> RunSpec:
    """Return the spec of a nested dict with every option of the plugins of `sections` filled in."""
    try:
        spec = SPECS[verb].model_validate(tree)
    except ValidationError as error:
        raise explain(error, SPECS[verb]) from error
    complete = {}
    for section in sections:
        chosen: PluginSection = getattr(spec, section)
        plugin = getattr(registry, section)(chosen.name)
        options = validate_options(section, chosen.name, chosen.options, plugin.Options)
        complete[section] = PluginSection(name=chosen.name, **options.model_dump(mode="json"))
    for tracker in spec.trackers:
        registry.listing("tracker", tracker)
    return spec.model_copy(update=complete)


class Asked(TypedDict, total=False):
    """Where settings come from, beside the defaults and the data set's recipe: what a person asks for."""

    recipe: str | None
    config: Path | None
    sets: Sequence[str]
    flags: Mapping[str, Any] | None
    """Dotted keys, None where a flag was not given."""


class Given(Asked, total=False):
    """What a person asks for, and where else settings come from."""

    init_spec: Mapping[str, Any] | None
    """The spec of the run that `--init` names, or less: it offers its data set and its model."""
    base: Layer | None
    """A complete spec that stands in for all defaults."""
    extra: Sequence[Layer]
    """Over the file and below `--set`."""


def resolve(verb: str, registry: Registry, **given: Unpack[Given]) -> Resolved:
    """Return the spec that the given sources amount to."""
    settings, sources = lay(verb, registry, **given)
    return Resolved(validate(settings, verb, registry), sources)


def lay(
    verb: str,
    registry: Registry,
    *,
    recipe: str | None = None,
    config: Path | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    init_spec: Mapping[str, Any] | None = None,
    base: Layer | None = None,
    extra: Sequence[Layer] = (),
) -> tuple[Tree, dict[str, str]]:
    """Return the settings that the given sources amount to, not yet validated, and the source of each key.

    See `Given` for these. What recipes say and the chosen encoder cannot do is replaced; what a person says never is.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    layers = [base or Layer(f"recipe {DEFAULTS}", _recipe(DEFAULTS, verb, registry))]
    command_line = _command_line(parse_sets(sets), nest(given))
    task = _named("task", [*extra, *command_line])
    top = []
    if init_spec is not None:
        top.append(Layer("--init", _offered(init_spec, registry)))
    if recipe is not None:
        top.append(Layer(f"recipe {recipe}", _recipe(recipe, verb, registry, task=task)))
    if config is not None:
        top.append(Layer(str(config), read_config(config, verb, task)))
    top += [*extra, *command_line]

    name = _named("dataset", layers + top)
    if name is not None and base is None:
        own = registry.dataset(name).recipe
        if own is not None and own != recipe:
            task = _named("task", layers + top)
            layers.append(Layer(f"recipe {own}", _recipe(own, verb, registry, required=False, task=task)))
    if init_spec is not None:
        top[0] = Layer("--init", _suited(top[0].settings, layers + top, registry))
    if base is None:
        offers = (init_spec is not None) + (recipe is not None)
        conceded = _conceded(layers + top[:offers], layers + top, registry)
        top.insert(offers, Layer("what the encoder can do", conceded))
    return merge(layers + top)


def _conceded(recipes: Sequence[Layer], layers: Sequence[Layer], registry: Registry) -> Tree:
    """Return what to take in the place of settings of recipes that the encoder, as it is or frozen, cannot serve."""
    train = merge(layers)[0].get("train")
    model, task = (_named(section, layers) for section in ("model", "task"))
    if model is None or task is None:
        return {}
    plugin = registry.model(model)
    settings = dict(plugin.concessions)
    if (isinstance(train, dict) and train.get("freeze")) or not plugin.can_mask:
        settings |= {f"task.{name}": value for name, value in registry.task(task).on_whole_pictures.items()}
    given = dict(flatten(merge(recipes)[0]))
    return nest({key: value for key, value in settings.items() if key in given})


def _named(section: str, layers: Sequence[Layer]) -> str | None:
    """Return the name of the plugin that the layers together choose, if they do."""
    name = (merge(layers)[0].get(section) or {}).get("name")
    return None if name is None else str(name)


def _offered(spec: Mapping[str, Any], registry: Registry) -> Tree:
    """Return what `--init` says of data and model, less what only concerned the training of that run."""
    model = spec["model"]
    if "name" not in model:
        return {"model": model}
    training_only = registry.model(model["name"]).training_only
    # What was left open stays open; how many labels a run took says nothing of the next.
    data = {key: value for key, value in spec["data"].items() if value is not None and key != "labels"}
    kept = {key: value for key, value in model.items() if key not in training_only}
    return {"dataset": spec["dataset"], "data": data, "model": kept}


def _suited(offered: Tree, layers: Sequence[Layer], registry: Registry) -> Tree:
    """Return what `--init` offers, less what is not meant for the data set and the model that the layers choose.

    Channels and normalising belonged to the data of that run; options without a name are for models that have them.
    """
    suited = dict(offered)
    if "dataset" in offered and _named("dataset", layers) != offered["dataset"]["name"]:
        suited["data"] = {key: value for key, value in offered["data"].items() if key not in OF_PIXELS}
    name = _named("model", layers)
    if "name" not in offered["model"] and name is not None:
        known = registry.model(name).Options.model_fields
        suited["model"] = {key: value for key, value in offered["model"].items() if key in known}
    return suited


def _command_line(sets: Tree, flags: Tree) -> list[Layer]:
    """Return the layers of `--set` and of flags; what `--set` says of a section is meant for the plugin of its flag."""
    for section in PLUGIN_SECTIONS:
        options, name = sets.get(section), flags.get(section, {}).get("name")
        if isinstance(options, dict) and name is not None:
            options.setdefault("name", name)
    return [Layer("--set", sets), Layer("flag", flags)]


def _recipe(name: str, verb: str, registry: Registry, required: bool = True, task: str | None = None) -> Tree:
    return read_document(registry.recipe(name), verb, f"recipe {name}", required, task)


def difference(old: Mapping[str, Any], new: Mapping[str, Any], ignore: frozenset[str]) -> list[str]:
    """Return a line `key: old -> new` for each key that differs between two specs."""
    left, right = dict(flatten(old)), dict(flatten(new))
    return [
        f"{key}: {left.get(key)} -> {right.get(key)}"
        for key in sorted(left.keys() | right.keys())
        if key not in ignore and left.get(key) != right.get(key)
    ]
