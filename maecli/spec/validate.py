"""From settings to a spec whose every value is checked; what is wrong is one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from maecli.errors import SpecError, nearest
from maecli.registry import Registry
from maecli.schema import PLUGIN_SECTIONS, SPECS, PluginSection, RunSpec
from maecli.spec.layers import Tree
from maecli.text import brief, shortened


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
        section = _section(model.model_fields[part].annotation)
        if section is None:
            break
        model = section
    return path, sorted(model.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a field that is a section, or may be left out as one; None of another field."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType] or [annotation]
    only = kinds[0] if len(kinds) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else None


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
    for kind in sections:
        section: PluginSection = getattr(spec, kind)
        plugin = getattr(registry, kind)(section.name)
        options = validate_options(kind, section.name, section.options, plugin.Options)
        complete[kind] = PluginSection(name=section.name, **options.model_dump(mode="json"))
    for tracker in spec.trackers:
        registry.listing("tracker", tracker)
    return spec.model_copy(update=complete)
