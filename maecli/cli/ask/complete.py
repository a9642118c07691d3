"""What a shell completes: names of plugins and recipes, and the keys of `--set`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

import typer

from maecli.errors import MaeError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from maecli.registry.discovery import Kind


def names(kind: Kind) -> Callable[[str], list[str]]:
    """Return what completes the names of one kind of plugin."""

    def complete(incomplete: str) -> list[str]:
        from maecli.registry import registry

        return [name for name in registry().names(kind) if name.startswith(incomplete)]

    return complete


def values(words: Collection[str]) -> Callable[[str], list[str]]:
    """Return what completes one of a few words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a key of `--set`, with the options of the data set, task and model that are chosen before it."""
    from maecli.schema import SPECS

    verb = context.info_name or ""
    found = [key for name, spec in SPECS.items() if verb in (name, "eda", "plan") for key in _keys(spec, context)]
    if verb == "sweep":
        found = [f"{name}.{key}" for name, spec in SPECS.items() for key in _keys(spec, context)]
    return sorted({f"{key}=" for key in found if key.startswith(incomplete)})


def _keys(spec: type[BaseModel], context: typer.Context, before: str = "") -> Iterator[str]:
    """Yield the dotted keys of a spec or of a section of it."""
    from pydantic import BaseModel

    from maecli.schema import PLUGIN_SECTIONS

    for name, field in spec.model_fields.items():
        if not before and name in PLUGIN_SECTIONS:
            yield f"{name}.name"
            yield from _options(name, context.params.get(name))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, context, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _options(section: str, name: str | None) -> Iterator[str]:
    """Yield the keys of the options of a plugin, none where no such one works."""
    from maecli.registry import registry
    from maecli.registry.describe import describe_options

    if name:
        try:
            plugin = getattr(registry(), section)(name)
        except MaeError:
            return
        yield from (option.key for option in describe_options(section, plugin.Options))
