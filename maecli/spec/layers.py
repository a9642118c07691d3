"""Settings by dotted key, as `train.epochs`, and layers of them that lie over each other."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maecli.errors import SpecError
from maecli.schema import PLUGIN_SECTIONS
from maecli.storage import documents
from maecli.text import brief, shortened

Tree = dict[str, Any]
"""Settings nested as in a spec file."""
Settings = dict[str, Any]
"""Settings by dotted key."""
PLANNED = "plan"
"""The source of what was planned: what nobody set, made to fit the data and the machine."""
INIT_LAYER = "--init"
"""The source of what came with the weights that a run starts from."""


@dataclass(frozen=True)
class Layer:
    """Settings from one source."""

    source: str
    settings: Settings

    @classmethod
    def of(cls, source: str, tree: Mapping[str, Any]) -> Layer:
        """Return the layer of nested settings."""
        return cls(source, flatten(tree))

    def without(self, keys: Collection[str]) -> Layer:
        """Return the layer less some of its settings."""
        return Layer(self.source, {key: value for key, value in self.settings.items() if key not in keys})


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Settings:
    """Return the values of a nested dict by dotted key; lists are values.

    Raises SpecError for a key that stands there dotted and in a section, too.
    """
    settings: Settings = {}
    for key, value in tree.items():
        inner = flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
        for twice in settings.keys() & inner.keys():
            raise SpecError(
                f"the key {shortened(twice)} is given twice, with dots and in a section: {brief(settings[twice])} and "
                f"{brief(inner[twice])}; keep one of them"
            )
        settings |= inner
    return settings


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


def topmost(key: str, layers: Sequence[Layer]) -> Any:
    """Return what the highest of the layers that has the key says of it, None where none has."""
    return next((layer.settings[key] for layer in reversed(layers) if key in layer.settings), None)


def merge(layers: Sequence[Layer]) -> tuple[Settings, dict[str, str]]:
    """Lay the layers over each other, later ones on top; return the settings and each key's source.

    A plugin's options belong to the plugin that is named beside them: a layer that names another one drops what the
    layers below said about the first.
    """
    settings: Settings = {}
    sources: dict[str, str] = {}
    for layer in layers:
        for section in PLUGIN_SECTIONS:
            if section in layer.settings:
                value = layer.settings[section]
                raise SpecError(
                    f"{layer.source}: {section} is a section; write {section}.name: "
                    f"{shortened(str(value or 'NAME'))}{'' if value else ', or leave it out'}"
                )
            name = layer.settings.get(f"{section}.name")
            if name is None and f"{section}.name" in layer.settings:
                raise SpecError(f"{layer.source}: {section}.name is null, which names none; name one, or leave it out")
            if name is not None and name != settings.get(f"{section}.name", name):
                for key in [key for key in settings if key.startswith(f"{section}.")]:
                    del settings[key], sources[key]
        for key in _replaced(settings, layer.settings):
            del settings[key], sources[key]
        settings |= layer.settings
        sources |= dict.fromkeys(layer.settings, layer.source)
    return settings, sources


def _replaced(below: Settings, above: Settings) -> list[str]:
    """Return the keys below that are a value where there is a section above, or belong to a section that is a value.

    So `task.class_weights: balanced` and `task.class_weights: {cat: 2}` lie over each other.
    """
    parents = {key[:end] for key in above for end in range(len(key)) if key[end] == "."}
    return [
        key for key in below if key in parents or any(key[:end] in above for end in range(len(key)) if key[end] == ".")
    ]


def difference(old: Mapping[str, Any], new: Mapping[str, Any], ignore: frozenset[str]) -> list[str]:
    """Return a line `key: old -> new` for each key that differs between two specs."""
    left, right = flatten(old), flatten(new)
    return [
        f"{key}: {_shown(left.get(key))} -> {_shown(right.get(key))}"
        for key in sorted(left.keys() | right.keys())
        if key not in ignore and left.get(key) != right.get(key)
    ]


def _shown(value: Any) -> str:
    """Return a value as a spec has it, and "not set" for none."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
