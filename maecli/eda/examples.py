"""Samples for the page of a data set, drawn, as plain arrays.

Drawings are float32 (3, H, W) in [0, 1], masks (H, W) of class numbers, in any integer dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.eda.findings import Pair

Image = NDArray[np.float32]
Mask = NDArray[Any]


@dataclass(frozen=True)
class Example:
    """A sample, drawn."""

    key: str
    image: Image
    mask: Mask | None = None
    """Its mask, where that lies on the drawing."""
    objects: Image | None = None
    """Its drawing with all but the objects of its mask covered, where that does not lie on the drawing."""


@dataclass(frozen=True)
class Augmented:
    """What training makes of a few samples."""

    by: str
    """Who sees them so, such as pretraining."""
    how: str
    """The augmentation in words."""
    examples: Sequence[Example]


@dataclass(frozen=True)
class Gallery:
    """All samples to be drawn."""

    classes: Sequence[tuple[str, Sequence[Example]]] = ()
    """Rows of samples under their titles, such as some of each class."""
    first: Sequence[Example] = ()
    """The first training samples, with masks where there are any."""
    augmented: Sequence[Augmented] = ()
    """The same samples, for each way of training."""
    copies: Sequence[tuple[Pair, Example, Example]] = ()
