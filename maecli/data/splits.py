"""Seeded cuts of a list of samples into train, val and test.

A cut is a function of the keys, labels, groups, shares and seed alone: neither the order of the list nor that
of the file system matters. Every sample has a place in a line, given by a hash of (seed, key), and each split
takes from the front; so a file added later moves at most a few others.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from maecli.data.card import SplitName

SPLIT_SEED = 0
"""The seed of every built-in cut. It is not the run's seed: two runs are compared on the same split."""


def place(key: str, seed: int = SPLIT_SEED) -> bytes:
    """Return the key's place in line: sort by it for an order that looks random and never changes."""
    return hashlib.blake2b(os.fsencode(key), digest_size=16, salt=seed.to_bytes(8, "big")).digest()


@dataclass
class _Unit:
    """Samples that stay together: one group, or one sample without a group."""

    place: bytes
    members: list[int] = field(default_factory=list)
    counts: Counter[int | None] = field(default_factory=Counter)


def cut(
    keys: Sequence[str],
    *,
    val_share: float,
    test_share: float = 0.0,
    labels: Sequence[int | None] | None = None,
    groups: Sequence[str | None] | None = None,
    seed: int = SPLIT_SEED,
) -> dict[SplitName, list[int]]:
    """Return the positions in `keys` that belong to each split, in rising order.

    A share of n samples is `round(share * n)` of them, and at least one where there are three samples (groups)
    or more. With labels it is dealt out among the classes by largest remainder, so that each class has its
    share to within one sample. A group is never divided: groups are taken, in the order of their places, while
    they bring the class counts nearer to those shares, so the sizes are only near the shares.
    """
    if min(val_share, test_share) < 0 or val_share + test_share >= 1:
        raise ValueError(
            f"val_share ({val_share}) and test_share ({test_share}) must not be negative and must leave some for train"
        )
    if len(set(keys)) != len(keys):
        raise ValueError("keys must be unique")
    units = _units(keys, labels, groups, seed)
    chosen: dict[SplitName, list[int]] = {"train": [], "val": [], "test": []}
    shares: tuple[tuple[SplitName, float], ...] = (("test", test_share), ("val", val_share))
    at_least = 1 if len(units) >= 3 else 0
    for name, share in shares:
        num = max(at_least, round(share * len(keys))) if share > 0 else 0
        taken, units = _take(units, _quotas(units, num))
        chosen[name] = sorted(i for unit in taken for i in unit.members)
    chosen["train"] = sorted(i for unit in units for i in unit.members)
    return chosen


def _units(
    keys: Sequence[str], labels: Sequence[int | None] | None, groups: Sequence[str | None] | None, seed: int
) -> list[_Unit]:
    """Return the units in the order of their places."""
    units: dict[tuple[str, str], _Unit] = {}
    for i, key in enumerate(keys):
        group = groups[i] if groups is not None else None
        name = ("file", key) if group is None else ("group", group)
        unit = units.setdefault(name, _Unit(place(name[1], seed)))
        unit.members.append(i)
        unit.counts[labels[i] if labels is not None else None] += 1
    return sorted(units.values(), key=lambda unit: unit.place)


def _quotas(units: Iterable[_Unit], num: int) -> dict[int | None, int]:
    """Deal `num` samples out among the classes by largest remainder; ties go to the larger class."""
    counts: Counter[int | None] = Counter()
    for unit in units:
        counts.update(unit.counts)
    exact = {label: num * count / counts.total() for label, count in counts.items()}
    quotas = {label: int(value) for label, value in exact.items()}
    left = num - sum(quotas.values())
    for label in sorted(exact, key=lambda c: (quotas[c] - exact[c], -counts[c], c is None, c or 0))[:left]:
        quotas[label] += 1
    return quotas


def _take(units: Sequence[_Unit], quotas: dict[int | None, int]) -> tuple[list[_Unit], list[_Unit]]:
    """Return the units that fill the quotas, and the rest.

    A unit is taken when it lessens the sum over classes of |still wanted|; a single sample does so exactly
    while its class is wanting. Where every group is too large for that, the smallest one is taken.
    """
    wanted = dict(quotas)
    taken: list[_Unit] = []
    rest: list[_Unit] = []
    for unit in units:
        before = sum(abs(wanted[label]) for label in unit.counts)
        after = sum(abs(wanted[label] - num) for label, num in unit.counts.items())
        if after < before:
            wanted.update({label: wanted[label] - num for label, num in unit.counts.items()})
            taken.append(unit)
        else:
            rest.append(unit)
    if not taken and sum(quotas.values()) > 0 and len(rest) > 1:
        smallest = min(rest, key=lambda unit: len(unit.members))
        taken.append(smallest)
        rest.remove(smallest)
    return taken, rest
