"""Seeded cuts of a list of samples into train, val and test.

A cut is a function of the keys, labels, groups, shares and seed alone: neither the order of the list nor that
of the file system matters. Every sample has a place in a line, given by a hash of (seed, key), and each split
takes from the front; so a file added later moves at most a few others.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import SplitName
from maecli.data.stratify import Unit, bring_home, deal, fill_empty, make_units
from maecli.errors import SpecError

SPLIT_SEED = 0
"""The seed of every built-in cut. It is not the run's seed: two runs are compared on the same split."""
PLACE_BYTES = 16
UNIQUE = "keys must be unique"


def place(key: str, seed: int = SPLIT_SEED) -> bytes:
    """Return the key's place in line: sort by it for an order that looks random and never changes."""
    return hashlib.blake2b(os.fsencode(key), digest_size=PLACE_BYTES, salt=seed.to_bytes(8, "big")).digest()


def places(keys: Iterable[str], seed: int = SPLIT_SEED) -> NDArray[np.uint64]:
    """Return the places of many keys as numbers (N, 2), the weightier first: in little memory, sorted as `place` is."""
    joined = bytearray()
    for key in keys:
        joined += place(key, seed)
    return np.frombuffer(joined, ">u8").reshape(-1, 2).astype(np.uint64)


def check_shares(val_share: float, test_share: float) -> None:
    """Raise SpecError where a data set's options of these names leave nothing for train."""
    if val_share + test_share >= 1:
        raise SpecError(
            f"dataset.val_share ({val_share:g}) and dataset.test_share ({test_share:g}) must add up to less than 1, so "
            "that something is left for train"
        )


def cut(
    keys: Sequence[str],
    *,
    val_share: float,
    test_share: float = 0.0,
    labels: Sequence[int | None] | Sequence[Collection[Hashable]] | None = None,
    groups: Sequence[str | None] | None = None,
    seed: int = SPLIT_SEED,
) -> dict[SplitName, list[int]]:
    """Return the positions in `keys` that belong to each split, in rising order.

    A share of n samples is `round(share * n)` of them, and at least one where there are three samples (groups)
    or more. With labels it is dealt out among the classes by largest remainder, so that each class has its
    share to within one sample. A group is never divided: groups are taken, in the order of their places, while
    they bring the class counts nearer to those shares, so the sizes are only near the shares.

    Where samples show several classes each, as masks do, `labels` are collections of them. Then each split has its
    share of every class as near as may be, a class of few samples is in train first, and sizes are near the shares;
    see `maecli.data.stratify`.
    """
    if min(val_share, test_share) < 0 or val_share + test_share >= 1:
        raise ValueError(
            f"val_share ({val_share}) and test_share ({test_share}) must not be negative and must leave some for train"
        )
    several = any(isinstance(label, Collection) for label in labels or ())
    if not several and (groups is None or all(group is None for group in groups)):
        return _cut_singles(places(keys, seed), labels, val_share, test_share)  # type: ignore[arg-type]
    if len(set(keys)) != len(keys):
        raise ValueError(UNIQUE)
    classes: list[Collection[Hashable]] = [
        label if isinstance(label, Collection) else [label] for label in labels or [None] * len(keys)
    ]
    units = make_units(keys, classes, groups, partial(place, seed=seed))
    taken = _deal(units, val_share, test_share) if several else _fill(units, len(keys), val_share, test_share)
    return {name: sorted(i for unit in taken[name] for i in unit.members) for name in ("train", "val", "test")}


def _deal(units: Sequence[Unit], val_share: float, test_share: float) -> dict[SplitName, list[Unit]]:
    """Return the units of each split, stratified by all that they show."""
    shares = (1 - val_share - test_share, test_share, val_share)
    parts = deal(units, shares)
    bring_home(parts)
    if len(units) >= 3:
        fill_empty(parts, shares)
    return {"train": parts[0], "test": parts[1], "val": parts[2]}


def _fill(units: list[Unit], num_samples: int, val_share: float, test_share: float) -> dict[SplitName, list[Unit]]:
    """Return the units of each split, stratified by the one class that each sample has."""
    chosen: dict[SplitName, list[Unit]] = {"test": [], "val": []}
    shares: tuple[tuple[SplitName, float], ...] = (("test", test_share), ("val", val_share))
    at_least = 1 if len(units) >= 3 else 0
    for name, share in shares:
        num = max(at_least, round(share * num_samples)) if share > 0 else 0
        chosen[name], units = _take(units, _quotas(units, num))
    return {**chosen, "train": units}


def _cut_singles(
    line: NDArray[np.uint64], labels: Sequence[int | None] | None, val_share: float, test_share: float
) -> dict[SplitName, list[int]]:
    """Return what `_fill` makes of samples that stand alone, by their places (N, 2)."""
    order = np.lexsort((line[:, 1], line[:, 0]))
    if (line[order[1:]] == line[order[:-1]]).all(1).any():
        raise ValueError(UNIQUE)
    names: dict[int | None, int] = {}
    classes = np.array([names.setdefault(label, len(names)) for label in labels or [None] * len(line)], np.int64)
    shares: tuple[tuple[SplitName, float], ...] = (("test", test_share), ("val", val_share))
    at_least, taken = (1 if len(line) >= 3 else 0), dict[SplitName, list[int]]()
    for name, share in shares:
        num = max(at_least, round(share * len(line))) if share > 0 else 0
        counts = np.bincount(classes[order], minlength=len(names))
        present: Counter[Hashable] = Counter()
        present.update({label: int(counts[code]) for label, code in names.items() if counts[code]})
        quotas = _dealt(present, num)
        chosen = np.zeros(len(order), bool)
        for label, quota in quotas.items():
            chosen[np.flatnonzero(classes[order] == names[label])[:quota]] = True  # type: ignore[index]
        taken[name] = np.sort(order[chosen]).tolist()
        order = order[~chosen]
    return {"train": np.sort(order).tolist(), "val": taken["val"], "test": taken["test"]}


def _quotas(units: Iterable[Unit], num: int) -> dict[Hashable, int]:
    """Deal `num` samples out among the classes of units."""
    counts: Counter[Hashable] = Counter()
    for unit in units:
        counts.update(unit.counts)
    return _dealt(counts, num)


def _dealt(counts: Counter[Hashable], num: int) -> dict[Hashable, int]:
    """Deal `num` samples out among classes of so many by largest remainder; ties go to the larger class."""
    exact = {label: num * count / counts.total() for label, count in counts.items()}
    quotas = {label: int(value) for label, value in exact.items()}
    left = num - sum(quotas.values())
    for label in sorted(exact, key=lambda c: (quotas[c] - exact[c], -counts[c], c is None, c or 0))[:left]:
        quotas[label] += 1
    return quotas


def _take(units: Sequence[Unit], quotas: dict[Hashable, int]) -> tuple[list[Unit], list[Unit]]:
    """Return the units that fill the quotas, and the rest.

    A unit is taken when it lessens the sum over classes of |still wanted|; a single sample does so exactly
    while its class is wanting. Where every group is too large for that, the smallest one is taken.
    """
    wanted = dict(quotas)
    taken: list[Unit] = []
    rest: list[Unit] = []
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
