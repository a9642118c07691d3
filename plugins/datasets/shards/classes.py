"""The classes of the pictures in shards: what labels say, and the names that `classes.txt` gives to numbers.

Shapes: N pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maecli.api import pictures

from .index import NO_LABEL

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
    names = pictures.read_class_lines(root) if numeric else ()
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
