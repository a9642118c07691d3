"""The wrong answers that a classifier was surest of, to be looked at.

Shapes: B batch, Q classes, k mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from maecli import api

MOST = 12


class Mistakes:
    """Keeps the wrong samples with the most probable answers, in whatever order they come, and waits for nothing."""

    def __init__(self, card: api.DataCard, preprocess: api.Preprocess) -> None:
        self.card, self.preprocess = card, preprocess
        self.keys: list[str] = []
        self.kept: dict[str, Tensor] = {}
        """Of each: how sure, the true and the predicted class, its place in `keys`, its picture, its valid cells."""

    def update(self, batch: api.Batch, probabilities: Tensor) -> None:
        """Look at a batch and its probabilities (B, Q)."""
        sure, guess = probabilities.float().max(-1)
        new = {
            "sure": sure.where(guess != batch["label"], -1.0),
            "truth": batch["label"],
            "guess": guess,
            "place": torch.arange(len(self.keys), len(self.keys) + len(batch), device=guess.device),
            **{name: batch[name] for name in ("image", "valid") if name in batch},
        }
        self.keys += batch.keys
        both = {name: torch.cat([self.kept[name], rows]) if self.kept else rows for name, rows in new.items()}
        first = both["sure"].topk(min(MOST, len(both["sure"]))).indices
        self.kept = {name: rows[first] for name, rows in both.items()}

    def drawings(self) -> Sequence[api.Drawing]:
        num = int((self.kept["sure"] >= 0).sum()) if self.kept else 0
        if not num:
            return []
        kept = {name: rows[:num].cpu() for name, rows in self.kept.items()}
        names = self.card.classes
        shown = self.preprocess.draw(self.preprocess.to_pixels(kept["image"]), kept.get("valid"))
        captions = [
            f"{names[truth]} → {names[guess]}, {sure:.0%}"
            for truth, guess, sure in zip(*(kept[name].tolist() for name in ("truth", "guess", "sure")), strict=True)
        ]
        keys = [self.keys[place] for place in kept["place"].tolist()]
        png = api.draw.contact_sheet(shown, captions, keys=keys, large=True)
        caption = "Mistakes, the surest first: true class → predicted class, and the probability of that."
        return [api.Drawing(name="mistakes", caption=self.preprocess.modality.keyed(caption, self.card), png=png)]
