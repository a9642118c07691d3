"""Probabilities that hold: the temperature of a classifier, and how far its probabilities are off.

Shapes: N samples, Q classes.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api

LOG_TEMPERATURES = torch.arange(-230, 231, dtype=torch.float64) / 100
"""Natural logarithms of those that are tried: 0.1 to 10."""
PRIOR_DEVIATION = 0.5
"""Of the logarithm of a temperature before any sample is seen: two thirds of networks within a factor of 1.65 of 1."""
INTERVAL = 1.92
"""Half of the 95% quantile of chi-squared with one degree of freedom: how much worse a temperature of the 95%
likelihood interval may be."""
MOST_BINS, SMALLEST_BIN = 15, 10


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return what divides logits (N, Q) so that probabilities hold on samples with labels (N,) that were not learnt.

    It minimises their cross-entropy, as in "On calibration of modern neural networks", arXiv:1706.04599, section 4.2,
    with two changes for the few that there may be. A prior about 1 decides where they tell nothing: of none that is
    wrong, the temperature would be 0. And below 1, where it makes a classifier more certain, it is the one nearest to 1
    in the 95% interval: thirty samples of which one is wrong may have been lucky.
    """
    scaled = logits.double() / LOG_TEMPERATURES.exp()[:, None, None]  # (T, N, Q)
    losses = F.cross_entropy(scaled.movedim(0, -1), labels[:, None].expand(-1, len(scaled)), reduction="none").sum(0)
    losses += 0.5 * (LOG_TEMPERATURES / PRIOR_DEVIATION) ** 2
    best = int(losses.argmin())
    if LOG_TEMPERATURES[best] < 0:
        likely = (losses <= losses[best] + INTERVAL) & (LOG_TEMPERATURES <= 0)
        best = int(likely.nonzero().max())
    return float(LOG_TEMPERATURES[best].exp())


def bins(confidence: np.ndarray, right: np.ndarray) -> list[tuple[int, float, float]]:
    """Return (samples, mean probability, share right) of bins of as many samples, the least certain ones first.

    Takes the probabilities (N,) of the answers and whether these are right (N,). Each bin has ten samples or more.
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, max(1, min(MOST_BINS, len(order) // SMALLEST_BIN)))
    return [(len(part), float(confidence[part].mean()), float(right[part].mean())) for part in parts if len(part)]


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return by how much probabilities and shares differ, the mean over `bins`, weighted by their samples.

    Source: arXiv:1706.04599, equation 3, whose bins are as wide; ours have as many samples, arXiv:1909.10155, since
    most of few samples would lie in one.
    """
    total = sum(num * abs(mean - share) for num, mean, share in bins(confidence, right))
    return total / max(len(confidence), 1)


def reliability(confidence: np.ndarray, right: np.ndarray) -> api.Table:
    """Return what is right of samples by how probable they were said to be."""
    rows = tuple((num, mean, share) for num, mean, share in bins(confidence, right))
    return api.Table(title="Probabilities", columns=("samples", "mean probability", "share right"), rows=rows)
