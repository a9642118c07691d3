"""`mae recipes`: what is shipped to be run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from maecli.errors import MaeError, PluginError
from maecli.registry import Registry
from maecli.spec.recipes import DEFAULTS, SWEEP, parse_yaml

_COST = re.compile(r"^\s*Cost:\s*(.+?)\.?\s*$", re.MULTILINE)
_SENTENCE = re.compile(r".+?(?:\.(?=\s)|\n\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Recipe:
    """One recipe, in short."""

    name: str
    about: str
    """The first sentence of what it says of itself."""
    sections: tuple[str, ...]
    """What it serves: verbs, VERB-TASK, and sweep."""
    cost: str
    """What it says after `Cost:`; empty where it says nothing."""
    package: str

    @property
    def command(self) -> str:
        """How it is run."""
        return f"mae {self.sections[0].partition('-')[0]} --recipe {self.name}"


def list_recipes(registry: Registry, say: Callable[[str], None]) -> list[Recipe]:
    """Return every recipe that is installed but the one of defaults, less those that are broken: `say` is told why."""
    recipes = []
    for name in registry.names("recipe"):
        try:
            if name != DEFAULTS:
                recipes.append(describe(name, registry))
        except MaeError as error:
            say(str(error))
    return recipes


def describe(name: str, registry: Registry) -> Recipe:
    """Return a recipe in short. Raises SpecError for an unknown one, PluginError for one that is no recipe."""
    listing = registry.listing("recipe", name)
    tree = parse_yaml(registry.recipe(name), f"recipe {name}")
    sections = tuple(str(section) for section in tree if section != "about") if isinstance(tree, dict) else ()
    if not sections:
        raise PluginError(f"recipe {name!r} of {listing.package} {listing.version} has no section")
    about = str(tree.get("about") or "").strip()
    cost, first = _COST.search(about), _SENTENCE.match(about)
    ordered = tuple(sorted(sections, key=lambda section: section != SWEEP))
    return Recipe(name, " ".join(first[0].split()) if first else "", ordered, cost[1] if cost else "", listing.package)
