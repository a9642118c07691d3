"""Pictures for the page of a data set, as plain arrays.

Pictures are float32 (C, H, W) in [0, 1], masks (H, W) uint8 of class numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.eda.findings import Pair

Image = NDArray[np.float32]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Example:
    """A sample to be drawn."""

    key: str
    image: Image
    mask: Mask | None = None


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
