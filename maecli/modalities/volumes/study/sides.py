"""Whether what is called left lies to the left of what is called right.

Axes of volumes go to the right, so a left part lies at a lower place of the first axis than its right counterpart.
Where it does not, sides were mirrored: by an orientation that was lost, or by names that were mixed up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from maecli.modalities.volumes.study.subject import Volume

_SIDE = re.compile(r"(?<![a-z])(left|right|lt|rt|l|r)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """Two classes of one name, one on each side."""

    name: str
    left: int
    right: int


def pairs_of(names: Sequence[str]) -> list[Pair]:
    """Return the classes, by number, whose names differ by their side alone."""
    sides: dict[str, dict[str, int]] = {}
    for number, name in enumerate(names):
        found = _SIDE.search(name)
        if found is not None:
            bare = re.sub(r"[\s_-]+", " ", _SIDE.sub(" ", name, count=1)).strip().lower()
            sides.setdefault(bare, {})[found[1][0].lower()] = number
    return [Pair(name, both["l"], both["r"]) for name, both in sides.items() if len(both) == 2]


def swapped(volumes: Sequence[Volume], pairs: Sequence[Pair]) -> Mapping[str, list[str]]:
    """Return the volumes, by key, in which the left of a pair lies to the right of its right, with the pairs' names."""
    found = {volume.key: [*_swapped(volume, pairs)] for volume in volumes}
    return {key: names for key, names in found.items() if names}


def _swapped(volume: Volume, pairs: Sequence[Pair]) -> Iterator[str]:
    for pair in pairs:
        left, right = volume.classes.get(pair.left), volume.classes.get(pair.right)
        if left is not None and right is not None and left.from_left > right.from_left:
            yield pair.name
