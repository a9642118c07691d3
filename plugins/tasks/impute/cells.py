"""Which channels of a sample are what: the number of a cell, and the categories that it can have.

Shapes: B batch, C channels, F cells of a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from maecli import api


class Cells:
    """The cells of rows, by how many categories each can have: 0 is a number."""

    def __init__(self, num: Sequence[int], channels: int, columns: Sequence[api.tables.Column] = ()) -> None:
        """Take the number of categories of each cell, and what is known of the first ones."""
        self.named = torch.tensor(num) > 0
        """Which cells hold categories (F,) bool."""
        self.own = torch.arange(channels - 1)[:, None] < torch.tensor(num)
        """Which categories each cell can have (C - 1, F) bool."""
        highest = [0.0 if column.constant else 1.0 for column in columns]
        self.highest = torch.tensor([*highest, *[1.0] * (len(num) - len(columns))])
        """The greatest place of a number in the training rows (F,), whose least is 0."""

    def _on(self, device: torch.device) -> None:
        """Have what is compared with tensors of a batch on its device, once."""
        self.named, self.own, self.highest = (each.to(device) for each in (self.named, self.own, self.highest))

    def exists(self, device: torch.device) -> Tensor:
        """Return which channels of each cell can hold something (1, C, F) bool."""
        self._on(device)
        return torch.cat([~self.named[None], self.own])[None]

    def within(self, image: Tensor) -> Tensor:
        """Return images (B, C, F) with numbers and dates between the least and the greatest of training rows."""
        self._on(image.device)
        return torch.cat([image[:, :1].clamp(min=0).minimum(self.highest), image[:, 1:]], 1)

    def loss(self, pred: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """Return the mean loss () over cells by their weight (B, F).

        Squared errors of numbers, and cross-entropy of categories, of pred and x (B, C, F), normalised.
        """
        self._on(x.device)
        losses = (pred[:, 0].float() - x[:, 0]).square()
        if len(self.own):
            crosses = -(self._log_shares(pred) * torch.where(self.own, x[:, 1:], 0.0)).sum(1)
            losses = torch.where(self.named, crosses, losses)
        return torch.where(weight > 0, losses * weight, 0.0).sum() / weight.sum().clamp(min=1)

    def _log_shares(self, pred: Tensor) -> Tensor:
        """Return the log probabilities (B, C - 1, F) of categories, 0 of those that a cell cannot have."""
        scores = torch.where(self.own, pred[:, 1:].float(), -torch.inf)
        scores = torch.where(self.named, scores, 0.0)  # of numbers, where all would be impossible
        return torch.where(self.own, log_softmax(scores, 1), 0.0)

    def joined(self, image: Tensor) -> Tensor:
        """Return rows (B, F) of images (B, C, F): the number of a cell, or that of its likeliest category."""
        self._on(image.device)
        if not len(self.own):
            return image[:, 0].float()
        likeliest = torch.where(self.own, image[:, 1:].float(), -torch.inf).argmax(1).float()
        return torch.where(self.named, likeliest, image[:, 0].float())
