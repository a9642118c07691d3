"""The classes of the pictures in shards: what labels say, and the names that `classes.txt` gives to numbers.

Shapes: N pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maecli import api

from .index import NO_LABEL

CLASSES = "classes.txt"
MAX_BYTES = 2**24
MAX_DIGITS = 6
"""Of labels that are numbers of classes."""


class Labelled(NamedTuple):
    """The classes of a set, and which of them each picture is."""

    classes: tuple[str, ...]
    numbers: NDArray[np.int32]
    """(N,) positions in `classes`, or `NO_LABEL`."""
    unnamed: tuple[str, ...]
    """Numbers that `classes.txt` has no line for; pictures of these have no label."""


def labelled(root: Path, texts: Sequence[str], labels: NDArray[np.int32]) -> Labelled:
    """Return what `labels` (N,), positions in `texts`, mean. Raises DataError for a `classes.txt` that is none."""
    if not texts:
        return Labelled((), labels, ())
    numeric = all(text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS for text in texts)
    names = _names(root) if numeric else ()
    unnamed: tuple[str, ...] = ()
    if names:
        classes = names
        places = [int(text) if int(text) < len(names) else NO_LABEL for text in texts]
        unnamed = tuple(text for text, place in zip(texts, places, strict=True) if place == NO_LABEL)
    else:
        values = {int(text) if numeric else text for text in texts}
        classes = tuple(map(str, sorted(values)))
        position = {name: i for i, name in enumerate(classes)}
        places = [position[str(int(text)) if numeric else text] for text in texts]
    return Labelled(classes, np.array([*places, NO_LABEL], np.int32)[labels], unnamed)


def _names(root: Path) -> tuple[str, ...]:
    """Return the lines of `classes.txt`, of which the first names class 0; none without it."""
    path = root / CLASSES
    if not path.is_file():
        return ()
    if path.stat().st_size > MAX_BYTES:
        raise api.DataError(f"{path} is larger than {MAX_BYTES:,} bytes, which no list of classes is")
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise api.DataError(f"{path} is not a text in UTF-8; save it as one") from error
    if twice := [name for name, num in Counter(names).items() if num > 1]:
        raise api.DataError(f"{path} names {twice[0]} twice; the number of a class is that of its line, from 0")
    return names
