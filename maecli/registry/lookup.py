"""Things of plugins by kind and name."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from maecli.errors import PluginError, UnknownPlugin, nearest
from maecli.registry.discovery import GROUP, Kind, Listing, discover, recipe_files
from maecli.registry.loading import Modules, Refused, cause
from maecli.registry.switches import Switches, canonical
from maecli.terminal import tell
from maecli.text import brief

if TYPE_CHECKING:
    from maecli.data.dataset import Dataset
    from maecli.exporting.format import ExportFormat
    from maecli.modalities.modality import Modality
    from maecli.models.plugin import Model
    from maecli.training.task import Task
    from maecli.training.tracker import Tracker


def installed_points() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of all packages; one whose file cannot be read is told of."""
    try:
        return list(importlib.metadata.entry_points(group=GROUP))
    except Exception:  # a file that is no text or no INI, of whichever package
        points: list[importlib.metadata.EntryPoint] = []
    for package in importlib.metadata.distributions():
        try:
            points += package.entry_points.select(group=GROUP)
        except Exception as error:
            tell(f"{package.name} {package.version}: its entry_points.txt cannot be read ({cause(error)})")
    return points


class Registry:
    """The things that installed packages offer, by kind and name."""

    def __init__(
        self,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
        switches: Switches | None = None,
    ) -> None:
        """Read the entry points, of the packages installed unless others are given. Imports nothing."""
        self.switches = Switches.read() if switches is None else switches
        points = installed_points() if entry_points is None else entry_points
        self.listings = discover(points, self.switches)
        self._modules = Modules()

    @property
    def not_installed(self) -> list[str]:
        """A line for each name in `MAE_LOAD_PLUGINS` that no installed package with plugins has."""
        packages = sorted({canonical(listing.package) for listing in self.listings})
        unknown = sorted((self.switches.only or frozenset()).difference(packages))
        what = "which is no installed package with plugins"
        return [f"MAE_LOAD_PLUGINS names {name!r}, {what}{nearest(name, packages)}" for name in unknown]

    def names(self, kind: Kind) -> list[str]:
        """Return the usable names of one kind, sorted. Imports nothing."""
        return [listing.name for listing in self.listings if listing.kind == kind and listing.usable]

    def listing(self, kind: Kind, name: str) -> Listing:
        """Return who offers `name`.

        Raises UnknownPlugin for an unknown name, PluginError for one that is refused.
        """
        listings = [listing for listing in self.listings if (listing.kind, listing.name) == (kind, name)]
        for listing in listings:
            if listing.usable:
                return listing
        if listings:
            raise PluginError(listings[0].line)
        known = self.names(kind)
        installed = ", ".join(known) or "none"
        raise UnknownPlugin(f"unknown {kind} {brief(name)}{nearest(name, known)}; installed: {installed}", kind, name)

    def dataset(self, name: str) -> type[Dataset]:
        cls: type[Dataset] = self._find("dataset", name)
        return cls

    def modality(self, name: str) -> type[Modality]:
        cls: type[Modality] = self._find("modality", name)
        return cls

    def task(self, name: str) -> type[Task[Any]]:
        cls: type[Task[Any]] = self._find("task", name)
        return cls

    def model(self, name: str) -> type[Model]:
        cls: type[Model] = self._find("model", name)
        return cls

    def tracker(self, name: str) -> type[Tracker]:
        cls: type[Tracker] = self._find("tracker", name)
        return cls

    def export(self, name: str) -> type[ExportFormat]:
        cls: type[ExportFormat] = self._find("export", name)
        return cls

    def recipe(self, name: str) -> str:
        """Return the YAML text of a recipe."""
        text: str = self._find("recipe", name)
        return text

    def checked(self) -> list[Listing]:
        """Return the listings with what importing each stranger's module shows. Our own are not imported."""
        return [self._checked(listing) if listing.status == "unchecked" else listing for listing in self.listings]

    def _checked(self, listing: Listing) -> Listing:
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
        if listing.kind != "recipe":
            return self._modules.get(listing.kind, listing.name, listing.module)
        try:
            return recipe_files(listing.module)[listing.name].read_text(encoding="utf-8")
        except (KeyError, OSError, UnicodeDecodeError) as error:
            raise Refused(f"cannot be read: {cause(error)}") from error


def _broken(listing: Listing, refused: Refused) -> Listing:
    return listing.refused("broken", f"{listing.kind} {listing.name!r} {refused}")


def registry() -> Registry:
    """Return the registry of this process, as the environment and the user's file have it now.

    What discovery refuses, and what `MAE_LOAD_PLUGINS` names in vain, is told on stderr the first time, a line each.
    """
    return _registry(Switches.read())


@functools.cache
def _registry(switches: Switches) -> Registry:
    plugins = Registry(switches=switches)
    refused = [listing.line for listing in plugins.listings if listing.status in ("clash", "broken")]
    for line in (*plugins.not_installed, *refused):
        tell(line)
    return plugins
