"""What is made small: cross-entropy and Dice over judged cells.

Shapes: B batch, S spatial axes, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api


def cross_entropy(
    logits: Tensor, mask: Tensor, class_weights: Sequence[float] | None = None, void: int = api.pictures.VOID
) -> Tensor:
    """Return the mean cross-entropy () over judged cells, weighted by class; 0 where none is judged.

    Takes logits (B, Q, *S) and masks (B, *S) int64, whose number `void` is not judged.
    """
    weights = api.measure.weights_on(tuple(class_weights or [1.0] * logits.shape[1]), logits.device)
    total = F.cross_entropy(logits, mask, weights, ignore_index=void, reduction="sum")
    # torch's own mean would be 0 / 0 without a judged cell
    return total / judged(mask, logits.shape[1], class_weights, void).sum().clamp(min=1e-6)


def judged(
    mask: Tensor, num_classes: int, class_weights: Sequence[float] | None = None, void: int = api.pictures.VOID
) -> Tensor:
    """Return the weights of the judged cells of masks (B, *S) int64, those of a sample summed: (B,) float32."""
    weights = api.measure.weights_on(tuple(class_weights or [1.0] * num_classes), mask.device)
    return torch.where(mask == void, 0.0, weights[mask.clamp(0, len(weights) - 1)]).flatten(1).sum(1)


def dice_loss(
    logits: Tensor, mask: Tensor, class_weights: Sequence[float] | None = None, void: int = api.pictures.VOID
) -> Tensor:
    """Return 1 minus the soft Dice () of each sample, averaged over the classes that occur in it, and over samples.

    Takes logits (B, Q, *S) and masks (B, *S) int64, whose number `void` is not judged. A sample weighs what is `judged`
    of it, so that a batch in parts has the loss of the whole; 0 where no cell is judged.
    Source: V-Net, arXiv:1606.04797, section 3, with squares below; there for one class.
    """
    Q, cells = logits.shape[1], tuple(range(2, logits.ndim))
    numbers = torch.arange(Q, device=mask.device).reshape(-1, *[1] * (mask.ndim - 1))
    truth = mask.unsqueeze(1) == numbers  # (B, Q, *S), a byte each; nowhere where nothing is judged
    p = logits.softmax(1) * (mask != void).unsqueeze(1)
    both, counts = (p * truth).sum(cells), truth.sum(cells)  # (B, Q)
    sizes = (p * p).sum(cells) + counts
    losses = (1 - 2 * both / sizes.clamp(min=1e-6)) * (counts > 0)
    means = losses.sum(1) / (counts > 0).sum(1).clamp(min=1)
    weights = judged(mask, Q, class_weights, void)
    return (means * weights).sum() / weights.sum().clamp(min=1e-6)
