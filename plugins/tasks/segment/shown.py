"""The few pictures of a split that are drawn with their masks: those with the lowest IoU, and some drawn by lot.

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


class Shown(NamedTuple):
    """A picture (1, C, H, W), its true and its predicted mask (H, W), and how well these agree."""

    key: str
    iou: float
    """The mean over the classes that truly occur in it."""
    picture: Tensor
    truth: Tensor
    guess: Tensor


class Examples:
    """The worst pictures of a split, and some of all, the same ones whatever the order of batches."""

    def __init__(self) -> None:
        self.worst, self.by_lot = (api.measure.Least[Shown](NUM_DRAWN) for _ in range(2))

    def add(self, key: str, iou: float, image: Tensor, truth: Tensor, guess: Tensor) -> None:
        """Look at a picture (1, C, H, W), its masks (H, W), and how well these agree."""

        def small() -> Shown:
            step = -(-max(truth.shape) // DRAWN_SIDE)
            picture = image if step == 1 else F.avg_pool2d(image, min(step, *truth.shape), step, ceil_mode=True)
            return Shown(key, iou, picture.clone(), truth[::step, ::step].clone(), guess[::step, ::step].clone())

        lot = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
        self.worst.add(iou, lot, small)
        self.by_lot.add(0.0, lot, small)

    def drawings(self, pixels: Callable[[Tensor], np.ndarray], style: api.draw.ClassStyle) -> list[api.Drawing]:
        """Return a drawing of the worst, and one of the others; `pixels` makes uint8 of a picture (1, C, H, W)."""
        worst = self.worst.things
        seen = {shown.key for shown in worst}
        others = sorted((shown for shown in self.by_lot.things if shown.key not in seen), key=lambda shown: shown.iou)
        first = "Chosen by their own mean IoU, the lowest first: where prediction and truth agree least."
        then = "Drawn by lot from the whole split, to show what is usual; the lowest mean IoU first."
        parts = (("worst", worst, first), ("predictions", others, then))
        return [_drawing(name, those, caption, pixels, style) for name, those, caption in parts if those]


def _drawing(
    name: str,
    those: Sequence[Shown],
    caption: str,
    pixels: Callable[[Tensor], np.ndarray],
    style: api.draw.ClassStyle,
) -> api.Drawing:
    png = api.draw.overlay_rows(
        [pixels(shown.picture)[0] for shown in those],
        [shown.truth.cpu().numpy() for shown in those],
        [shown.guess.cpu().numpy() for shown in those],
        style,
        [f"mean IoU {shown.iou:.1%}, {shown.key}" for shown in those],
    )
    return api.Drawing(name=name, caption=caption, png=png)
