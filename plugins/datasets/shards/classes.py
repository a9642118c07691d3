"""The classes of the pictures in shards: what labels say, and the names that `classes.txt` gives to numbers.

Shapes: N pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maecli import api
from maecli.api import pictures

from .index import NO_LABEL
from .joined import Joined

MAX_DIGITS = 6
"""Of labels that are numbers of classes."""


class Labelled(NamedTuple):
    """The classes of a set, and which of them each picture is."""

    classes: tuple[str, ...]
    numbers: NDArray[np.int32]
    """(N,) positions in `classes`, or `NO_LABEL`."""
    unnamed: tuple[api.Fault, ...] = ()
    """Numbers that a `classes.txt` has no line for; pictures of these have no label."""
    lists: tuple[str, ...] = ()
    """The `classes.txt` that name classes, as paths below the root."""


def labelled(root: Path, joined: Joined) -> Labelled:
    """Return what the labels of pictures mean: numbers by the list in their shard's folder or the nearest above it.

    Lists are joined by name. Raises DataError for a `classes.txt` that is none, and where numbers have a list in one
    folder and none in another.
    """
    if not joined.texts:
        return Labelled((), joined.labels)
    lists, list_of = _lists(root, [shard.name for shard in joined.shards])
    num = len(joined.texts) + 1
    codes, which = np.unique(list_of[joined.shard_of] * num + joined.labels + 1, return_inverse=True)
    said = ((code // num, joined.texts[code % num - 1] if code % num else None) for code in codes.tolist())
    names: list[str | None] = []
    """What each of the codes means."""
    used, unlisted, unnamed = list[int](), False, list[api.Fault]()
    for number, group in groupby(said, itemgetter(0)):
        texts = [text for _, text in group]
        labels = [text for text in texts if text is not None]
        path, lines = lists[number]
        numeric = bool(labels) and all(map(_is_number, labels))
        if numeric and lines:
            used.append(number)
            names += [None if text is None or int(text) >= len(lines) else lines[int(text)] for text in texts]
            why = f"has {len(lines):,} lines, and labels name the class"
            unnamed += [api.Fault(path, f"{why} {text}") for text in labels if int(text) >= len(lines)]
        else:
            unlisted |= numeric
            names += [str(int(text)) if numeric and text is not None else text for text in texts]
    ordered = sorted((lists[number] for number in used), key=lambda each: (each[0].count("/"), each[0]))
    if ordered and unlisted:
        raise api.DataError(
            f"{ordered[0][0]} in {root} names the classes of some shards, and labels of others are numbers too, which "
            f"no {pictures.CLASSES_FILE} in their folder or above it names; write one there, a line for each class"
        )
    position = {name: i for i, name in enumerate(dict.fromkeys(name for _, lines in ordered for name in lines))}
    others = {name for name in names if name is not None} - position.keys()
    for name in sorted(others, key=lambda name: (int(name) if unlisted and _is_number(name) else 0, name)):
        position[name] = len(position)
    places = np.array([NO_LABEL if name is None else position[name] for name in names], np.int32)
    return Labelled(tuple(position), places[which], tuple(unnamed), tuple(path for path, _ in ordered))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS


def _lists(root: Path, shards: Sequence[str]) -> tuple[list[tuple[str, tuple[str, ...]]], NDArray[np.int64]]:
    """Return the lists that name classes, with their lines, and which of them is that of each shard.

    It is the one in a shard's folder, or else the nearest above it, no higher than the root; one without lines stands
    for none.
    """
    lines: dict[PurePosixPath, tuple[str, ...]] = {}
    numbers: dict[PurePosixPath | None, int] = {}
    list_of = []
    for name in shards:
        nearest = None
        for folder in PurePosixPath(name).parents:
            if folder not in lines:
                lines[folder] = pictures.read_class_lines(root / folder)
            if lines[folder]:
                nearest = folder
                break
        list_of.append(numbers.setdefault(nearest, len(numbers)))
    found = [(str(at / pictures.CLASSES_FILE), lines[at]) if at is not None else ("", ()) for at in numbers]
    return found, np.array(list_of, np.int64)
