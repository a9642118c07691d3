"""Dealing samples out among parts so that each part has its share of every class, where a sample has several classes.

Iterative stratification. Source: Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification of multi-label data",
algorithm 1; what is left open there, ties, is settled by the order of the parts instead of by chance, and units may be
groups of samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

Classes = Iterable[Hashable]
"""What a sample shows; none is a class of its own."""


@dataclass(eq=False, slots=True)
class Unit:
    """Samples that stay together: one group, or one sample without a group."""

    place: bytes
    members: list[int] = field(default_factory=list)
    counts: Counter[Hashable] = field(default_factory=Counter)
    """Class → how many of the members show it."""


def make_units(
    keys: Sequence[str],
    classes: Sequence[Classes],
    groups: Sequence[str | None] | None,
    place: Callable[[str], bytes],
) -> list[Unit]:
    """Return the units that samples form, in the order of their places; members are positions in `keys`."""
    units: dict[tuple[str, str], Unit] = {}
    for i, key in enumerate(keys):
        group = groups[i] if groups is not None else None
        name = ("file", key) if group is None else ("group", group)
        unit = units.setdefault(name, Unit(place(name[1])))
        unit.members.append(i)
        unit.counts.update(set(classes[i]) or {None})
    return sorted(units.values(), key=lambda unit: unit.place)


def deal(units: Sequence[Unit], shares: Sequence[float]) -> list[list[Unit]]:
    """Return the units of each part, which has its share of all samples and of every class as near as may be.

    The rarest class is dealt first, its largest units first, each to the part that still wants most of it; of equal
    parts the one that wants most samples, then the first.
    """
    sizes = [share * sum(len(unit.members) for unit in units) for share in shares]
    left = _count(units)
    wanted = {label: [share * num for share in shares] for label, num in left.items()}
    holders: dict[Hashable, list[Unit]] = {label: [] for label in left}
    for unit in units:
        for label in unit.counts:
            holders[label].append(unit)
    parts: list[list[Unit]] = [[] for _ in shares]
    dealt: set[Unit] = set()
    order = {label: i for i, label in enumerate(left)}
    while left:
        label = min(left, key=lambda label: (left[label], order[label]))
        waiting = [unit for unit in holders[label] if unit not in dealt]
        for unit in sorted(waiting, key=lambda unit: -unit.counts[label]):  # stable, so places settle the rest
            part = max(range(len(shares)), key=lambda j: (round(wanted[label][j], 9), round(sizes[j], 9), -j))
            parts[part].append(unit)
            dealt.add(unit)
            sizes[part] -= len(unit.members)
            for other, num in unit.counts.items():
                wanted[other][part] -= num
                left[other] -= num
        for other in [other for other, num in left.items() if not num]:
            del left[other]
    return parts


def bring_home(parts: list[list[Unit]]) -> None:
    """Move units to the first part until it shows every class that any part shows: the smallest that do so."""
    for label in _count(unit for part in parts[1:] for unit in part).keys() - _count(parts[0]).keys():
        places = [(len(unit.members), j, i) for j, part in enumerate(parts) for i, unit in enumerate(part)]
        having = [(size, j, i) for size, j, i in places if label in parts[j][i].counts]
        if having and label not in _count(parts[0]):  # an earlier move may have brought it
            _, j, i = min(having)
            parts[0].append(parts[j].pop(i))


def fill_empty(parts: list[list[Unit]], shares: Sequence[float]) -> None:
    """Give a unit of the first part to each other that has none though it has a share: a small one of frequent classes.

    The last unit of the first part stays.
    """
    for part, share in zip(parts[1:], shares[1:], strict=True):
        if part or not share or len(parts[0]) < 2:
            continue
        held = _count(parts[0])
        spare = min(
            parts[0],
            key=lambda unit: (any(held[label] == num for label, num in unit.counts.items()), len(unit.members)),
        )
        parts[0].remove(spare)
        part.append(spare)


def _count(units: Iterable[Unit]) -> Counter[Hashable]:
    """Return in how many samples each class is, in an order that follows from the units'."""
    counts: Counter[Hashable] = Counter()
    for unit in units:
        for label in sorted(unit.counts, key=repr):
            counts[label] += unit.counts[label]
    return counts
