"""Things of plugins by kind and name."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.resources
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from maecli.errors import PluginError, UnknownPlugin, nearest
from maecli.registry.discovery import Kind, Listing, discover
from maecli.registry.loading import Plugin, Refused, cause
from maecli.registry.switches import Switches, canonical
from maecli.text import brief, one_line

if TYPE_CHECKING:
    from maecli.data.dataset import Dataset
    from maecli.models.plugin import Model
    from maecli.training.task import Task
    from maecli.training.tracker import Tracker


class Registry:
    """The things that installed packages offer, by kind and name."""

    def __init__(
        self,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
        switches: Switches | None = None,
    ) -> None:
        """Read the entry points, of the packages installed unless others are given. Imports nothing."""
        self.switches = Switches.read() if switches is None else switches
        self.listings = discover(entry_points, self.switches)
        self._plugins: dict[str, Plugin | Refused] = {}

    @property
    def not_installed(self) -> list[str]:
        """A line for each name in `MAE_LOAD_PLUGINS` that no installed package with plugins has."""
        packages = sorted({canonical(entry.package) for entry in self.listings})
        unknown = sorted((self.switches.only or frozenset()).difference(packages))
        what = "which is no installed package with plugins"
        return [f"MAE_LOAD_PLUGINS names {name!r}, {what}{nearest(name, packages)}" for name in unknown]

    def names(self, kind: Kind) -> list[str]:
        """Return the usable names of one kind, sorted. Imports nothing."""
        return [entry.name for entry in self.listings if entry.kind == kind and entry.usable]

    def listing(self, kind: Kind, name: str) -> Listing:
        """Return who offers `name`.

        Raises UnknownPlugin for an unknown name, PluginError for one that is refused.
        """
        entries = [entry for entry in self.listings if (entry.kind, entry.name) == (kind, name)]
        for entry in entries:
            if entry.usable:
                return entry
        if entries:
            raise PluginError(entries[0].line)
        known = self.names(kind)
        installed = ", ".join(known) or "none"
        raise UnknownPlugin(f"unknown {kind} {brief(name)}{nearest(name, known)}; installed: {installed}", kind, name)

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
        text: str = self._find("recipe", name)
        return text

    def checked(self) -> list[Listing]:
        """Return the listings with what importing each stranger's module shows. Our own are not imported."""
        return [self.check(listing) for listing in self.listings]

    def check(self, listing: Listing) -> Listing:
        """Return a listing with what importing its module shows, unless that is known or the module is our own."""
        if listing.status != "unchecked":
            return listing
        try:
            self._load(listing)
        except Refused as refused:
            return _broken(listing, refused)
        return dataclasses.replace(listing, status="ok")

    def _find(self, kind: Kind, name: str) -> Any:
        listing = self.listing(kind, name)
        try:
            return self._load(listing)
        except Refused as refused:
            raise PluginError(_broken(listing, refused).line) from refused

    def _load(self, listing: Listing) -> Any:
        """Return the class, or the text of a recipe, that a listing stands for. Raises Refused."""
        if listing.kind == "recipe":
            return _read_recipe(listing)
        plugin = self._plugins.get(listing.module)
        if plugin is None:
            try:
                plugin = Plugin(listing.module)
            except Refused as refused:
                plugin = refused
            self._plugins[listing.module] = plugin
        if isinstance(plugin, Refused):
            raise plugin
        return plugin.get(listing.kind, listing.name)


def _broken(listing: Listing, refused: Refused) -> Listing:
    return listing.refused("broken", f"{listing.kind} {listing.name!r} {refused}")


def _read_recipe(listing: Listing) -> str:
    try:
        return (importlib.resources.files(listing.module) / f"{listing.name}.yaml").read_text(encoding="utf-8")
    except (Exception, SystemExit) as error:  # finding the file imports a stranger's package
        raise Refused(f"cannot be read: {cause(error)}") from error


def registry() -> Registry:
    """Return the registry of this process, as the environment and the user's file have it now.

    What discovery refuses, and what `MAE_LOAD_PLUGINS` names in vain, is told on stderr the first time, a line each.
    With `MAE_STRICT_PLUGINS=1` every installed plugin is imported, and the first that cannot be used raises
    PluginError.
    """
    return _registry(Switches.read())


@functools.cache
def _registry(switches: Switches) -> Registry:
    found = Registry(switches=switches)
    for line in found.not_installed:
        print(f"mae: {one_line(line)}", file=sys.stderr)
    for listing in found.checked() if switches.strict else found.listings:
        if listing.status in ("clash", "broken"):
            if switches.strict:
                raise PluginError(f"{listing.line} (MAE_STRICT_PLUGINS is set)")
            print(f"mae: {one_line(listing.line)}", file=sys.stderr)
    return found
