"""Which packages' plugins a run used, and whether they are here as they were.

Recorded in `environment.json` and in every checkpoint for all plugins, in the spec for those of other packages.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from maecli.errors import PluginError, UnknownPlugin
from maecli.registry import OWN_PACKAGE, Kind, Listing, Registry
from maecli.schema import RunSpec

Record = Mapping[str, Any]
"""A spec, or the metadata of a checkpoint, as it was written: its `plugins` are those that were used."""
_LINE = re.compile(r"(?P<kind>\w+)\.(?P<name>\S+) from (?P<package>\S+) (?P<version>\S+)")


class Used(NamedTuple):
    """A plugin that a run used."""

    kind: str
    name: str
    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.name} from {self.package} {self.version}"


def plugins_used(spec: RunSpec, registry: Registry) -> list[Used]:
    """Return the plugins that a run of `spec` uses."""
    names: list[tuple[Kind, str]] = [
        ("dataset", spec.dataset.name),
        ("task", spec.task.name),
        ("model", spec.model.name),
        *(("tracker", name) for name in spec.trackers),
    ]
    listings = [registry.listing(kind, name) for kind, name in names]
    return [Used(listing.kind, listing.name, listing.package, listing.version) for listing in listings]


def with_plugins(spec: RunSpec, registry: Registry, source: object, say: Callable[[str], None]) -> RunSpec:
    """Return a spec that says which plugins of other packages it is run with now.

    `say` is told of those that have another version than the one which the spec, that of `source`, recorded.
    """
    used = [plugin for plugin in plugins_used(spec, registry) if plugin.package != OWN_PACKAGE]
    keys = [(plugin.kind, plugin.name) for plugin in used]
    kept = [plugin for plugin in recorded_in({"plugins": spec.plugins}) if (plugin.kind, plugin.name) in keys]
    tell_changes({"plugins": [*map(str, kept)]}, registry, source, say)
    return spec.model_copy(update={"plugins": tuple(map(str, used))})


def recorded_in(record: Record) -> list[Used]:
    """Return the plugins of other packages that are recorded; records of before there was this memory name none."""
    used: list[Used] = []
    entries = record.get("plugins")
    for entry in entries if isinstance(entries, (list, tuple)) else ():
        if isinstance(entry, Mapping):
            used.append(Used(*(str(entry.get(key, "?")) for key in Used._fields)))
        elif match := _LINE.fullmatch(str(entry)):
            used.append(Used(**match.groupdict()))
    return [plugin for plugin in used if plugin.package != OWN_PACKAGE]


@contextlib.contextmanager
def missing_packages(record: Record, source: object) -> Iterator[None]:
    """Name the package to install when the block asks for a recorded plugin that no installed package offers.

    Raises PluginError then.
    """
    try:
        yield
    except UnknownPlugin as error:
        for plugin in recorded_in(record):
            if (plugin.kind, plugin.name) == (error.kind, error.name):
                raise PluginError(f"{source} was made with {_install(plugin)}") from error
        raise


def changes(record: Record, registry: Registry, source: object) -> list[str]:
    """Return a line for each recorded package that has another version now, and for each plugin of another package."""
    lines = []
    for plugin in recorded_in(record):
        now = _offered(plugin, registry)
        if now is None:
            continue
        if now.package != plugin.package:
            was = f"{plugin.kind} {plugin.name!r} came from {plugin.package} {plugin.version}"
            lines.append(f"{was} for {source}, and now from {now.package} {now.version}")
        elif now.version != plugin.version:
            lines.append(f"{now.package} is {now.version} now, and was {plugin.version} for {source}")
    return list(dict.fromkeys(lines))


def tell_changes(record: Record, registry: Registry, source: object, say: Callable[[str], None]) -> None:
    """Say what is another version now than what is recorded."""
    for line in changes(record, registry, source):
        say(line)


def missing(record: Record, registry: Registry) -> list[str]:
    """Return a line for each recorded plugin that no installed package offers."""
    return [_install(plugin) for plugin in recorded_in(record) if _offered(plugin, registry) is None]


def _offered(used: Used, registry: Registry) -> Listing | None:
    """Return what offers now what was used, usable or not; of several packages, the one that was used."""
    offers = [offer for offer in registry.listings if (offer.kind, offer.name) == (used.kind, used.name)]
    return min(offers, key=lambda offer: offer.package != used.package, default=None)


def _install(used: Used) -> str:
    kind, name, package, version = used
    try:
        now = f"; {package} {importlib.metadata.version(package)} is installed and no longer offers it"
    except importlib.metadata.PackageNotFoundError:
        now = ", which is not installed"
    return f"{kind} {name!r} of {package} {version}{now}: pip install {package}=={version}"
