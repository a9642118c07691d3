"""Windows of series: consecutive parts of the model's length.

Shapes: C channels, T steps of a file, L of a window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from maecli.modalities.files import FileParts


class Windows(FileParts):
    """The windows of files, keys `path#first step`; a file that is no longer than a window is one sample, `path`."""

    def __init__(self, root: Path, paths: Sequence[str], read: Callable[[Path], np.ndarray], length: int) -> None:
        self.length = length
        super().__init__(root, paths, read)

    def names(self, values: np.ndarray) -> Sequence[str]:
        steps = values.shape[1]
        return [f"#{start}" for start in range(0, steps, self.length)] if steps > self.length else [""]

    def size(self, index: int) -> tuple[int, ...]:
        return self[index]["image"].shape[1:]

    def part(self, values: np.ndarray, number: int) -> np.ndarray:
        """Return a window (C, L), or what is left of the steps for the last one."""
        return values[:, number * self.length : (number + 1) * self.length]
