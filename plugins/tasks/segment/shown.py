"""The few pictures of a split that are drawn with their masks: those with the lowest score, and some drawn by lot.

Shapes: H, W height and width, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from maecli import api

NUM_DRAWN = 6
DRAWN_SIDE = 640
"""Drawings are made from pictures reduced to this."""


class View(NamedTuple):
    """A picture (1, C, H, W), its true and its predicted mask (H, W)."""

    picture: Tensor
    truth: Tensor
    guess: Tensor


class Shown(NamedTuple):
    """What is drawn of a sample, and how well its masks agree."""

    key: str
    score: float
    view: View


class Examples:
    """The worst pictures of a split, and some of all, the same ones whatever the order of batches."""

    def __init__(self) -> None:
        self.worst, self.by_lot = (api.measure.Least[Shown](NUM_DRAWN) for _ in range(2))

    def add(self, key: str, score: float, make: Callable[[], View]) -> None:
        """Look at a sample, which is drawn only if it is kept, and how well its masks agree."""

        def small() -> Shown:
            image, truth, guess = make()
            step = -(-max(truth.shape) // DRAWN_SIDE)
            picture = image if step == 1 else F.avg_pool2d(image, min(step, *truth.shape), step, ceil_mode=True)
            parts = (part[::step, ::step].clone() for part in (truth, guess))
            return Shown(key, score, View(picture.clone(), *parts))

        lot = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
        self.worst.add(score, lot, small)
        self.by_lot.add(0.0, lot, small)

    def drawings(
        self, pixels: Callable[[Tensor], np.ndarray], style: api.draw.ClassStyle, score: str, one: str
    ) -> list[api.Drawing]:
        """Return a drawing of the worst, and one of the others; `pixels` makes uint8 of a picture (1, C, H, W).

        `score` is what scores are called, and `one` what a sample is.
        """
        worst = self.worst.things
        seen = {shown.key for shown in worst}
        others = [shown for shown in self.by_lot.things if shown.key not in seen]
        others.sort(key=lambda shown: shown.score)
        first = f"Chosen by their own {score}, the lowest first: where prediction and truth agree least."
        then = f"Drawn by lot from the whole split, to show what is usual; the lowest {score} first."

        def drawing(name: str, those: Sequence[Shown], caption: str) -> api.Drawing:
            png = api.draw.overlay_rows(
                [pixels(shown.view.picture)[0] for shown in those],
                [shown.view.truth.cpu().numpy() for shown in those],
                [shown.view.guess.cpu().numpy() for shown in those],
                style,
                [f"{score} {shown.score:.1%}, {shown.key}" for shown in those],
                one,
            )
            return api.Drawing(name=name, caption=caption, png=png)

        parts = (("worst", worst, first), ("predictions", others, then))
        return [drawing(*part) for part in parts if part[1]]
