"""Errors of forecasts, of what is known of the truth.

Shapes: B batch, Q columns, H steps, R quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from maecli import api


def known_truth(truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return a truth (B, Q, H) with 0 where it is NaN, and where it is known, bool."""
    known = ~truth.isnan()
    return torch.where(known, truth, 0.0), known


def squared_error(made: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error () of forecasts (B, Q, H, 1) of what is known of truth (B, Q, H)."""
    truth, known = known_truth(truth)
    return ((made[..., 0] - truth).square() * known).sum() / known.sum().clamp(min=1)


def pinball(made: Tensor, truth: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Return the pinball loss (B, Q, H), mean over quantiles, of made (B, Q, H, R): arXiv:1711.11053, section 3.2."""
    shares = api.measure.weights_on(tuple(quantiles), made.device)
    short = truth.unsqueeze(-1) - made
    return torch.maximum(shares * short, (shares - 1) * short).mean(-1)


def pinball_loss(made: Tensor, truth: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Return the mean pinball loss () of what is known of truth (B, Q, H)."""
    truth, known = known_truth(truth)
    return (pinball(made, truth, quantiles) * known).sum() / known.sum().clamp(min=1)
