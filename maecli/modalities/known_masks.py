"""What is known of the true masks of a person's own samples, so that predicted ones can be compared.

Shapes: S spatial axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEVELS = 2
"""Folders above that of the samples in which one of masks may lie: images/ beside masks/, also with splits in both."""


@dataclass(frozen=True)
class KnownMasks:
    """The files of true masks, by the keys of their samples, and how they are read."""

    files: Mapping[str, Path]
    read: Callable[[Path], np.ndarray]
    """Returns the class numbers (*S) of a mask, the card's `void` where nothing is judged; raises BrokenSample."""
    problem: str = ""
    """Why masks that are there are not read, if so."""


def key_of(root: Path, path: Path) -> str:
    """Return a path as a key below the root; empty where it lies elsewhere."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""
