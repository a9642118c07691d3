"""What is made small: cross-entropy and Dice over judged pixels.

Shapes: B batch, H, W height and width, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api


def cross_entropy(logits: Tensor, mask: Tensor, class_weights: Sequence[float] | None = None) -> Tensor:
    """Return the mean cross-entropy () over judged pixels, weighted by class; 0 where none is judged.

    Takes logits (B, Q, H, W) and masks (B, H, W) int64.
    """
    weights = torch.tensor(class_weights or [1.0] * logits.shape[1], device=logits.device)
    total = F.cross_entropy(logits, mask, weights, ignore_index=api.pictures.VOID, reduction="sum")
    judged = torch.where(mask == api.pictures.VOID, 0.0, weights[mask.clamp(max=len(weights) - 1)])
    return total / judged.sum().clamp(min=1e-6)  # torch's own mean would be 0 / 0 without a judged pixel


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Return 1 minus the soft Dice () of all judged pixels of the batch, averaged over the classes that occur.

    Takes logits (B, Q, H, W) and masks (B, H, W) int64. 0 where no pixel is judged.
    Source: V-Net, arXiv:1606.04797, section 3, with squares below; there for one class.
    """
    Q = logits.shape[1]
    judged = (mask != api.pictures.VOID).unsqueeze(1)
    truth = F.one_hot(mask.where(judged[:, 0], 0), Q).movedim(-1, 1) * judged  # (B, Q, H, W)
    p = logits.softmax(1) * judged
    both, sizes = (p * truth).sum((0, 2, 3)), (p * p + truth).sum((0, 2, 3))  # (Q,)
    occurs = truth.sum((0, 2, 3)) > 0
    losses = (1 - 2 * both / sizes.clamp(min=1e-6)) * occurs
    return losses.sum() / occurs.sum().clamp(min=1)
