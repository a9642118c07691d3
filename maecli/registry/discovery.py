"""What installed packages announce by their entry points. Imports none of them.

So looking up, listing and finding clashes of names take no time and cannot fail by a stranger's code.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from maecli.registry.switches import Switches, canonical

GROUP = "mae"
OWN_PACKAGE = "maecli"
Kind = Literal["dataset", "task", "model", "tracker", "recipe"]
KINDS: tuple[Kind, ...] = ("dataset", "task", "model", "tracker", "recipe")
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


def discover(points: Iterable[importlib.metadata.EntryPoint] | None, switches: Switches) -> list[Listing]:
    """Return everything that is announced, by kind, name and package; `points` None: by the packages installed."""
    announced = [_listing(point) for point in points] if points is not None else _installed()
    found: dict[tuple[str, str], list[Listing]] = {}
    for listing in announced:
        why = "" if listing.package == OWN_PACKAGE else switches.why_off(listing.kind, listing.name, listing.package)
        if why:
            listing = listing.refused("disabled", f"{listing.kind} {listing.name!r} {why}")
        found.setdefault((listing.kind, listing.name), []).append(listing)
    settled = [listing for group in found.values() for listing in _settle(group)]
    return sorted(settled, key=lambda listing: (listing.kind, listing.name, listing.package))


def _listing(point: importlib.metadata.EntryPoint) -> Listing:
    kind, _, name = point.name.partition(".")
    package, version = _package(point.dist)
    listing = Listing(kind, name, package, version, point.value)
    if package != OWN_PACKAGE:
        listing = dataclasses.replace(listing, status="unchecked")
    if kind not in KINDS or not name:
        form = f"is not named as one of {', '.join(KINDS)}, a dot and a name"
        return listing.refused("broken", f"entry point {point.name!r} {form}")
    if not _MODULE.fullmatch(point.value):
        return listing.refused("broken", f"entry point {point.name!r} names {point.value!r}, which is not a module")
    return listing


def _package(dist: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Return name and version of a package, ? where its metadata do not tell."""
    try:
        return (str(dist.metadata["Name"] or "?"), str(dist.metadata["Version"] or "?")) if dist else ("?", "?")
    except Exception:  # damaged metadata are the package's matter, not ours
        return "?", "?"


def _installed() -> list[Listing]:
    """Return what installed packages announce, one of several copies of a package: the first on the path."""
    try:
        return [_listing(point) for point in importlib.metadata.entry_points(group=GROUP)]
    except Exception:  # one file in any package that cannot be parsed; the others are read by themselves
        return _one_by_one()


def _one_by_one() -> list[Listing]:
    found, seen = [], set()
    for dist in importlib.metadata.distributions():
        package, version = _package(dist)
        if canonical(package) in seen:
            continue
        seen.add(canonical(package))
        try:
            found += [_listing(point) for point in dist.entry_points if point.group == GROUP]
        except Exception as error:  # see above
            if f"[{GROUP}]" in _text(dist):
                cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
                listing = Listing("?", package, package, version, "?")
                found.append(listing.refused("broken", f"its entry_points.txt cannot be read: {cause}"))
    return found


def _text(dist: importlib.metadata.Distribution) -> str:
    """Return the entry points of a package as they are written, with � for what is not UTF-8."""
    try:
        return dist.read_text("entry_points.txt") or ""
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "replace")


def _settle(group: list[Listing]) -> list[Listing]:
    """Refuse both of two packages that claim one name; a name of our own cannot be taken, nor does one switched off."""
    claims = [listing for listing in group if listing.usable]
    settled = [listing for listing in group if not listing.usable]
    packages = {canonical(listing.package): listing.package for listing in claims}
    if len(packages) == 1:
        return [*settled, claims[0]]
    for listing in claims:
        if listing.package == OWN_PACKAGE:
            settled.append(listing)
            continue
        others = sorted(name for key, name in packages.items() if key != canonical(listing.package))
        if OWN_PACKAGE in others:
            why = "is a built-in name, which stays ours"
        else:
            why = f"is also claimed by {', '.join(others)}, so neither is used"
        way = f"`mae plugins disable {canonical(listing.package)}:{listing.key}` gives this one up"
        settled.append(listing.refused("clash", f"{listing.kind} {listing.name!r} {why}; {way}"))
    return settled
