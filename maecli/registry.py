"""How plugins are found, named and refused.

Names come from the entry points of the installed packages, so looking up, listing and finding clashes import
nothing. A module is imported, and registered with pluggy, when one of its things is used.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.resources
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from maecli import hookspecs
from maecli.errors import PluginError, SpecError, nearest

if TYPE_CHECKING:
    from maecli.data.dataset import Dataset
    from maecli.models.plugin import Model
    from maecli.training.task import Task
    from maecli.training.tracker import Tracker

GROUP = "mae"
OWN_PACKAGE = "maecli"
Kind = Literal["dataset", "task", "model", "tracker", "recipe"]
KINDS: tuple[Kind, ...] = ("dataset", "task", "model", "tracker", "recipe")


@dataclass(frozen=True)
class Listing:
    """One thing that an installed package offers."""

    kind: str
    name: str
    package: str
    version: str
    module: str
    problem: str = ""
    """Why it cannot be used; empty when nothing is known against it."""


def _listings(entry_points: Iterable[importlib.metadata.EntryPoint]) -> list[Listing]:
    found: dict[tuple[str, str], list[Listing]] = {}
    for point in entry_points:
        kind, _, name = point.name.partition(".")
        package, version = (point.dist.name, point.dist.version) if point.dist else ("?", "?")
        problem = ""
        if kind not in KINDS or not name:
            problem = f"entry point {point.name!r} is not named as one of {', '.join(KINDS)}, a dot and a name"
        listing = Listing(kind, name, package, version, point.value, problem)
        found.setdefault((kind, name), []).append(listing)
    return [settled for group in found.values() for settled in _settle(group)]


def _settle(group: list[Listing]) -> list[Listing]:
    """Refuse both of two packages that claim one name; a name of our own cannot be taken."""
    if len({listing.package for listing in group}) == 1:
        return group[:1]
    settled = []
    for listing in group:
        others = ", ".join(sorted({other.package for other in group} - {listing.package}))
        ours = any(other.package == OWN_PACKAGE for other in group)
        if ours and listing.package == OWN_PACKAGE:
            settled.append(listing)
            continue
        why = "is a built-in name" if ours else f"is also claimed by {others}; uninstall one of them"
        problem = f"{listing.kind} {listing.name!r} {why}"
        settled.append(Listing(listing.kind, listing.name, listing.package, listing.version, listing.module, problem))
    return settled


class Registry:
    """The things that installed packages offer, by kind and name."""

    def __init__(self, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> None:
        points = importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        self.listings = sorted(_listings(points), key=lambda entry: (entry.kind, entry.name, entry.package))
        self._manager = pluggy.PluginManager("mae")
        self._manager.add_hookspecs(hookspecs)

    def names(self, kind: Kind) -> list[str]:
        """Return the usable names of one kind, sorted. Imports nothing."""
        return [entry.name for entry in self.listings if entry.kind == kind and not entry.problem]

    def listing(self, kind: Kind, name: str) -> Listing:
        """Return who offers `name`.

        Raises SpecError for an unknown name, PluginError for one that is refused.
        """
        entries = [entry for entry in self.listings if (entry.kind, entry.name) == (kind, name)]
        for entry in entries:
            if not entry.problem:
                return entry
        if entries:
            raise PluginError(f"{entries[0].package} {entries[0].version}: {entries[0].problem}")
        known = self.names(kind)
        raise SpecError(f"unknown {kind} {name!r}{nearest(name, known)}; installed: {', '.join(known) or 'none'}")

    def dataset(self, name: str) -> type[Dataset]:
        found: type[Dataset] = self._find("dataset", name)
        return found

    def task(self, name: str) -> type[Task[Any]]:
        found: type[Task[Any]] = self._find("task", name)
        return found

    def model(self, name: str) -> type[Model]:
        found: type[Model] = self._find("model", name)
        return found

    def tracker(self, name: str) -> type[Tracker]:
        found: type[Tracker] = self._find("tracker", name)
        return found

    def recipe(self, name: str) -> str:
        """Return the YAML text of a recipe."""
        listing = self.listing("recipe", name)
        try:
            return (importlib.resources.files(listing.module) / f"{name}.yaml").read_text(encoding="utf-8")
        except (ImportError, OSError) as error:
            raise PluginError(
                f"recipe {name!r} of {listing.package} {listing.version} cannot be read: {error}"
            ) from error

    def _find(self, kind: Kind, name: str) -> Any:
        listing = self.listing(kind, name)
        module = self._load(listing)
        hook = getattr(self._manager.hook, f"mae_{kind}s")
        mine = self._manager.subset_hook_caller(
            hook.name, [plugin for plugin in self._manager.get_plugins() if plugin is not module]
        )
        try:
            offered = {thing.name: thing for things in mine() for thing in things}
        except Exception as error:  # whatever a stranger's hook does is theirs, not ours
            raise PluginError(
                f"{kind} {name!r} of {listing.package} {listing.version}: its hook {hook.name} fails: "
                f"{type(error).__name__}: {error}"
            ) from error
        if name not in offered:
            raise PluginError(
                f"{listing.package} {listing.version} announces {kind} {name!r}, but {listing.module} offers "
                f"{', '.join(sorted(offered)) or 'none'} by its hook mae_{kind}s"
            )
        return offered[name]

    def _load(self, listing: Listing) -> object:
        if (plugin := self._manager.get_plugin(listing.module)) is not None:
            return plugin
        try:
            module = importlib.import_module(listing.module)
            self._manager.register(module, name=listing.module)
        except Exception as error:  # whatever a stranger's module does at import is theirs, not ours
            raise PluginError(
                f"{listing.kind} {listing.name!r} of {listing.package} {listing.version} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        return module


@functools.cache
def registry() -> Registry:
    """Return the registry of this process."""
    return Registry()
