"""What installed packages announce by their entry points. Imports none of them.

So looking up, listing and finding clashes of names take no time and cannot fail by a stranger's code.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Literal

from maecli.registry.switches import Switches, canonical

GROUP = "mae"
OWN_PACKAGE = "maecli"
RECIPES = "recipes"
"""The entry point by which a package names the folder of its recipes."""
Kind = Literal["dataset", "modality", "task", "model", "tracker", "export", "recipe"]
KINDS: tuple[Kind, ...] = ("dataset", "modality", "task", "model", "tracker", "export", "recipe")
Status = Literal["ok", "unchecked", "disabled", "clash", "broken"]
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Listing:
    """One thing that an installed package offers."""

    kind: str
    name: str
    package: str
    version: str
    module: str
    status: Status = "ok"
    """unchecked: nothing is known against it, but its module was not imported. Our own are not checked again."""
    reason: str = ""
    """Why it cannot be used; empty when nothing is known against it."""

    @property
    def key(self) -> str:
        return f"{self.kind}.{self.name}"

    @property
    def usable(self) -> bool:
        return self.status in ("ok", "unchecked")

    @property
    def line(self) -> str:
        """Package, version and cause in one line."""
        return f"{self.package} {self.version}: {self.reason}"

    def refused(self, status: Status, reason: str) -> Listing:
        return dataclasses.replace(self, status=status, reason=reason)


def discover(points: Iterable[EntryPoint], switches: Switches) -> list[Listing]:
    """Return everything that these entry points announce, by kind, name and package."""
    groups: dict[str, list[Listing]] = {}
    package_of = functools.cache(_package)
    for point in points:
        for listing in _announced(point, *package_of(point.dist)):
            why = "" if listing.package == OWN_PACKAGE else switches.why_off(listing.key, listing.package)
            if why:
                listing = listing.refused("disabled", f"{listing.kind} {listing.name!r} {why}")
            groups.setdefault(listing.key, []).append(listing)
    settled = [listing for group in groups.values() for listing in _settle(group)]
    return sorted(settled, key=lambda listing: (listing.kind, listing.name, listing.package))


def recipe_files(package: str) -> dict[str, Path]:
    """Return the recipes in the folder of an importable package, by name. Neither it nor its parents are imported."""
    top, *inner = package.split(".")
    spec = importlib.util.find_spec(top)
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    return {file.stem: file for place in places for file in sorted(Path(place, *inner).glob("*.yaml"))}


def _package(dist: Distribution | None) -> tuple[str, str]:
    """Return the name of a package and its version, for which all of its metadata are read."""
    return (dist.name, dist.version) if dist is not None else ("?", "?")


def _announced(point: EntryPoint, package: str, version: str) -> list[Listing]:
    """Return what an entry point of a package announces: one thing, or the recipes of a folder."""
    kind, _, name = point.name.partition(".")
    listing = Listing(kind, name, package, version, point.value, "ok" if package == OWN_PACKAGE else "unchecked")
    if not _MODULE.fullmatch(point.value):
        return [listing.refused("broken", f"entry point {point.name!r} names {point.value!r}, which is not a module")]
    if point.name == RECIPES:
        files = recipe_files(point.value)
        reason = f"entry point {RECIPES!r} names {point.value}, where no .yaml file is found"
        return [dataclasses.replace(listing, kind="recipe", name=name) for name in files] or [
            listing.refused("broken", reason)
        ]
    if kind not in KINDS or kind == "recipe" or not name:
        form = f"is neither {RECIPES!r} nor one of {', '.join(KINDS[:-1])}, a dot and a name"
        return [listing.refused("broken", f"entry point {point.name!r} {form}")]
    return [listing]


def _settle(group: list[Listing]) -> list[Listing]:
    """Refuse both of two packages that claim one name; a name of our own cannot be taken, nor does one switched off."""
    claims = [listing for listing in group if listing.usable]
    packages = {canonical(listing.package) for listing in claims}
    if len(packages) <= 1:
        return group
    settled = [listing for listing in group if not listing.usable]
    for listing in claims:
        others = ", ".join(sorted(packages - {canonical(listing.package)}))
        if listing.package == OWN_PACKAGE:
            settled.append(listing)
            continue
        if OWN_PACKAGE in packages:
            why = "is a built-in name, which stays ours"
        else:
            why = f"is also claimed by {others}, so neither is used"
        way = f"`mae plugins disable {canonical(listing.package)}` gives this one up"
        settled.append(listing.refused("clash", f"{listing.kind} {listing.name!r} {why}; {way}"))
    return settled
