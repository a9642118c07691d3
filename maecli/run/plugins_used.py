"""Which packages' plugins a run used, and whether they are here as they were.

Recorded in `environment.json` and in every checkpoint for all plugins, in the spec for those of other packages.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from maecli.errors import PluginError, UnknownPlugin
from maecli.registry import OWN_PACKAGE, Kind, Listing, Registry
from maecli.schema import RunSpec

Used = dict[str, str]
"""kind, name, package and version of one plugin."""
_TOLD = re.compile(r"(?P<kind>\w+)\.(?P<name>\S+) from (?P<package>\S+) (?P<version>\S+)")


def plugins_used(spec: RunSpec, registry: Registry) -> list[Used]:
    """Return the plugins that a run of `spec` uses."""
    named: list[tuple[Kind, str]] = [
        ("dataset", spec.dataset.name),
        ("task", spec.task.name),
        ("model", spec.model.name),
        *(("tracker", name) for name in spec.trackers),
    ]
    listings = [registry.listing(kind, name) for kind, name in named]
    return [
        {"kind": each.kind, "name": each.name, "package": each.package, "version": each.version} for each in listings
    ]


def with_plugins(spec: RunSpec, registry: Registry, source: object, say: Callable[[str], None]) -> RunSpec:
    """Return a spec that says which plugins of other packages it is run with now.

    `say` is told of those that have another version than the one which the spec, that of `source`, recorded.
    """
    used = [each for each in plugins_used(spec, registry) if each["package"] != OWN_PACKAGE]
    names = [(each["kind"], each["name"]) for each in used]
    recorded = recorded_in({"plugins": spec.plugins})
    for line in changes([each for each in recorded if (each["kind"], each["name"]) in names], registry, source):
        say(line)
    told = [f"{each['kind']}.{each['name']} from {each['package']} {each['version']}" for each in used]
    return spec.model_copy(update={"plugins": tuple(told)})


def recorded_in(record: Mapping[str, Any]) -> list[Used]:
    """Return the plugins of other packages that a spec, or the metadata of a checkpoint, record.

    Records of before there was this memory name none.
    """
    used: list[Used] = []
    recorded = record.get("plugins")
    for each in recorded if isinstance(recorded, (list, tuple)) else ():
        if isinstance(each, Mapping):
            used.append({key: str(each.get(key, "?")) for key in ("kind", "name", "package", "version")})
        elif found := _TOLD.fullmatch(str(each)):
            used.append(found.groupdict())
    return [each for each in used if each["package"] != OWN_PACKAGE]


@contextlib.contextmanager
def missing_packages(recorded: Iterable[Used], source: object) -> Iterator[None]:
    """Name the package to install when the block asks for a recorded plugin that no installed package offers.

    Raises PluginError then.
    """
    try:
        yield
    except UnknownPlugin as error:
        for each in recorded:
            if (each["kind"], each["name"]) == (error.kind, error.name):
                raise PluginError(f"{source} was made with {_install(each)}") from error
        raise


def changes(recorded: Iterable[Used], registry: Registry, source: object) -> list[str]:
    """Return a line for each recorded package that has another version now, and for each plugin of another package."""
    lines = []
    for each in recorded:
        now = _offered(each, registry)
        if now is None:
            continue
        if now.package != each["package"]:
            thing, was = f"{each['kind']} {each['name']!r}", f"{each['package']} {each['version']}"
            lines.append(f"{thing} came from {was} for {source}, and now from {now.package} {now.version}")
        elif now.version != each["version"]:
            lines.append(f"{now.package} is {now.version} now, and was {each['version']} for {source}")
    return list(dict.fromkeys(lines))


def missing(recorded: Iterable[Used], registry: Registry) -> list[str]:
    """Return a line for each recorded plugin that no installed package offers."""
    return [_install(each) for each in recorded if _offered(each, registry) is None]


def tell_changes(record: Mapping[str, Any], registry: Registry, source: object, say: Callable[[str], None]) -> None:
    """Say what is another version now than what a spec or the metadata of a checkpoint record."""
    for line in changes(recorded_in(record), registry, source):
        say(line)


def _offered(used: Used, registry: Registry) -> Listing | None:
    """Return what offers now what was used, usable or not; of several packages, the one that was used."""
    offers = [each for each in registry.listings if (each.kind, each.name) == (used["kind"], used["name"])]
    return min(offers, key=lambda each: each.package != used["package"], default=None)


def _install(used: Used) -> str:
    kind, name, package, version = (used[key] for key in ("kind", "name", "package", "version"))
    try:
        now = f"; {package} {importlib.metadata.version(package)} is installed and no longer offers it"
    except importlib.metadata.PackageNotFoundError:
        now = ", which is not installed"
    return f"{kind} {name!r} of {package} {version}{now}: pip install {package}=={version}"
