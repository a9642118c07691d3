"""Where windows lie on a sample, and how much each of their cells counts.

Shapes: S spatial axes of the sample, w cells of a window along each.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

WindowWeights = Literal["even", "gaussian"]
SIGMA = 1 / 8
"""Standard deviation as a share of a window, as nnU-Net has it (arXiv:1809.10486)."""


class Windows:
    """Windows of `window` cells, or a shorter sample's, that lie `stride` of a window apart and end with the sample.

    "gaussian" weights fall from the centre of a window to its borders, of which a model sees one side alone.
    """

    def __init__(
        self, size: Sequence[int], window: Sequence[int], stride: float, weights: WindowWeights = "even"
    ) -> None:
        self.size = tuple(size)
        self.lengths = tuple(min(pair) for pair in zip(size, window, strict=True))
        self.starts = [_starts(length, own, stride) for length, own in zip(size, window, strict=True)]
        self.profiles = [
            torch.ones(length) if weights == "even" else _bell(own)[:length]
            for length, own in zip(self.lengths, window, strict=True)
        ]

    def places(self) -> list[tuple[slice, ...]]:
        """Return the places of all windows, those of the first axis' first start before the others."""
        corners = itertools.product(*self.starts)
        return [
            tuple(slice(start, start + length) for start, length in zip(corner, self.lengths, strict=True))
            for corner in corners
        ]

    @cached_property
    def weight(self) -> Tensor:
        """How much each cell of a window counts, (*w)."""
        return _product(self.profiles)

    def total(self, rows: slice) -> Tensor:
        """Return the weights of all windows that see a cell, of some rows (rows, *S[1:]) of a sample."""
        first, *others = self._totals
        return _product([first[rows], *others])

    @cached_property
    def _totals(self) -> list[Tensor]:
        """Sums of weights along each axis: windows form a grid, so those of a cell are their product."""
        totals = [torch.zeros(length) for length in self.size]
        for total, starts, profile in zip(totals, self.starts, self.profiles, strict=True):
            for start in starts:
                total[start : start + len(profile)] += profile
        return totals


def _starts(length: int, window: int, stride: float) -> list[int]:
    """Return where windows begin along an axis; the last one ends with the sample."""
    last = max(0, length - window)
    return [*range(0, last, max(1, round(stride * window))), last]


def _bell(window: int) -> Tensor:
    """Return a Gaussian (w), 1 at the centre of a window."""
    offsets = torch.arange(window) - (window - 1) / 2
    return torch.exp(-0.5 * (offsets / (SIGMA * window)) ** 2)


def _product(profiles: Sequence[Tensor]) -> Tensor:
    """Return the product (*S) of profiles along each axis."""
    made = profiles[0]
    for profile in profiles[1:]:
        made = made.unsqueeze(-1) * profile
    return made
