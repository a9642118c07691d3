"""What there is to say of one installed plugin: its class, its options, its data, how it is used."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maecli.errors import MaeError, SpecError, nearest
from maecli.registry import KINDS, Kind, Listing, Registry
from maecli.registry.describe import Option, describe_options
from maecli.run.assemble import make_dataset
from maecli.schema import PluginSection
from maecli.spec.resolve import PLUGIN_SECTIONS
from maecli.verbs.recipes import describe


@dataclass(frozen=True)
class About:
    """One plugin in full."""

    listing: Listing
    about: str
    """The docstring of its class; a recipe's own words."""
    options: tuple[Option, ...]
    facts: dict[str, str]
    card: dict[str, Any] | None
    """A data set's card, where its data are there."""
    no_card: str
    """Why there is none."""
    command: str
    """How it is used."""

    def as_json(self) -> dict[str, Any]:
        return {
            **vars(self.listing),
            "about": self.about,
            "options": [dataclasses.asdict(option) for option in self.options],
            "facts": self.facts,
            "card": self.card,
            "no_card": self.no_card,
            "command": self.command,
        }


def find_plugin(name: str, registry: Registry) -> tuple[Kind, str]:
    """Return kind and name of what KIND.NAME, or a name that only one kind has, means. Raises SpecError."""
    kind, _, rest = name.partition(".")
    if kind in KINDS and rest:
        return kind, rest
    kinds = sorted({entry.kind for entry in registry.listings if entry.name == name and entry.kind in KINDS})
    if len(kinds) > 1 and "recipe" in kinds:
        kinds.remove("recipe")  # a data set and its recipe share their name
    if len(kinds) == 1:
        return kinds[0], name
    if kinds:
        raise SpecError(f"{name!r} is the name of several; write {' or '.join(f'{each}.{name}' for each in kinds)}")
    known = sorted({entry.name for entry in registry.listings if entry.kind in KINDS})
    raise SpecError(f"no installed plugin is named {name!r}{nearest(name, known)}; `mae plugins` lists them")


def describe_plugin(name: str, registry: Registry, root: Path | None = None) -> About:
    """Return what is to be known of a plugin, `root` saying where a data set lies.

    Raises SpecError for an unknown one, PluginError for one that cannot be used.
    """
    kind, name = find_plugin(name, registry)
    listing = registry.listing(kind, name)
    if kind == "recipe":
        recipe = describe(name, registry)
        facts = {"for": ", ".join(recipe.sections)} | ({"cost": recipe.cost} if recipe.cost else {})
        return About(listing, recipe.about, (), facts, None, "", recipe.command)
    plugin: type[Any] = getattr(registry, kind)(name)
    options = tuple(describe_options(kind, plugin.Options)) if kind in PLUGIN_SECTIONS else ()
    card, no_card = None, ""
    if kind == "dataset":
        try:
            given = {} if root is None else {"root": str(root)}
            made = make_dataset(PluginSection(name=name, **given), registry)
            card = made.card().model_dump(mode="json")
        except MaeError as error:
            no_card = str(error)
        except Exception as error:  # whatever a stranger's data set does is to be told, not to end this
            no_card = f"{plugin.__name__}.card() fails: {type(error).__name__}: {error}"
    about = inspect.cleandoc(plugin.__doc__ or "")
    return About(listing, about, options, _facts(kind, plugin), card, no_card, _command(kind, name, plugin, root))


def _facts(kind: Kind, plugin: type[Any]) -> dict[str, str]:
    if kind == "task":
        return {"for": f"mae {plugin.verb}", "samples need": ", ".join(plugin.fields)}
    if kind == "model":
        return {"masked autoencoding": "yes" if plugin.can_mask else "no: it reads whole pictures"}
    if kind == "dataset" and plugin.recipe:
        return {"recipe": plugin.recipe}
    return {}


def _command(kind: Kind, name: str, plugin: type[Any], root: Path | None) -> str:
    if kind == "dataset":
        return f"mae pretrain --dataset {name}" + (f" --root {root}" if root else "")
    if kind == "task" and plugin.verb == "finetune":
        return f"mae finetune --dataset DATASET --task {name} --init RUN"
    if kind == "task":
        return f"mae pretrain --dataset DATASET --set task.name={name}"
    if kind == "model":
        verb = "pretrain" if plugin.can_mask else "finetune"
        return f"mae {verb} --dataset DATASET --model {name}"
    return f"mae pretrain --dataset DATASET --set trackers=[{name}]"
