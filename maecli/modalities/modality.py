"""What samples look like, by kind: the one protocol by which files become samples, and samples input and drawings.

Whoever is no modality asks it, and counts no axes. A data set's card names its modality; a package brings one by an
entry point, as it brings a data set.

Shapes: B batch, C channels, S spatial axes (as many as `axes`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from maecli.data.card import DataCard
from maecli.data.sample import Split

Fit = Literal["resize", "crop"]
"""resize: all of a sample, or its largest centred part in the model's proportions, becomes the model's size; crop: a
part of the model's size is cut out, and what lies outside of a smaller sample is not there."""


class Modality(ABC):
    """Base of a modality. It holds no state; its subclass's docstring says what a sample is."""

    name: ClassVar[str]
    unit: ClassVar[str] = "samples"
    """What samples are called when they are counted: images, rows, windows, volumes."""
    axes: ClassVar[int]
    """Spatial axes of `image`."""
    suffixes: ClassVar[frozenset[str]]
    """How names of files end that may hold samples, in lower case."""

    @abstractmethod
    def read(self, path: Path, card: DataCard) -> np.ndarray:
        """Return what a person's file holds (C, *S), with the channels and dtype of `card`; NaN where nothing is known.

        Raises BrokenSample for a file that is damaged, or cannot be brought to that.
        """

    @abstractmethod
    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        """Return a root and the samples of a person's own file, or of all files below a folder, as `card` has them.

        A file may hold several samples for a model of this size: the rows of a table, the windows of a series. The key
        of a sample begins with the path of its file relative to the root; what follows, if anything, begins with # and
        says which part of the file it is. Raises DataError where nothing is found.
        """

    @abstractmethod
    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        """Return a picture (3, H, W) float32 in [0, 1] of a sample (C, *S), whose values lie mostly in [0, 1].

        NaN is shown as missing. `hidden` (*S) bool: cells to be marked as hidden from the model.
        """

    @abstractmethod
    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return the suffix and the contents of a file of predicted values (C, *S), in units of the data.

        `source` is the file that the sample came from, whose header, names or geometry the new one takes over.
        """
