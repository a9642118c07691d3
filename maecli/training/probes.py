"""Probes: what simple classifiers make of the features of a frozen encoder.

Pure functions of features and labels; nothing here knows of encoders or pictures.

Shapes: N training samples, M asked samples, D features, Q classes, K neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 20
TEMPERATURE = 0.07
BLOCK_CELLS = 1 << 24
"""How many similarities are held at once."""

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Weights of the squared norm that the validation split chooses from, the strongest first."""
DEFAULT_PENALTY = 1e-3
"""Taken when there is no validation split to choose by."""
ITERATIONS = 500


def nearest_neighbours(
    train: Tensor,
    labels: Tensor,
    asked: Tensor,
    num_classes: int,
    neighbours: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Return the classes (M,) that the nearest of train (N, D) with labels (N,) vote for, for asked (M, D).

    The K nearest by cosine similarity s, at most N, vote with weight exp(s / temperature); the lower of two classes
    with equal votes wins.
    Source: Wu et al., arXiv:1805.01978, section 3.4; DINO, arXiv:2104.14294, section 3.2, takes 20 neighbours.
    """
    train, asked = F.normalize(train.float(), dim=1), F.normalize(asked.float(), dim=1)
    K = min(neighbours, len(train))
    guesses = []
    for part in torch.split(asked, max(1, BLOCK_CELLS // len(train))):
        similarity, ids = (part @ train.T).topk(K, dim=1)  # (m, K)
        # Less the largest, which changes no vote, the exponential cannot overflow.
        weight = ((similarity - similarity[:, :1]) / temperature).exp().double()
        votes = weight.new_zeros(len(part), num_classes).scatter_add_(1, labels[ids], weight)
        guesses.append(votes.argmax(1))
    return torch.cat(guesses) if guesses else labels.new_zeros(0)


@dataclass(frozen=True)
class LinearProbe:
    """Multinomial logistic regression on standardised features."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    """(Q, D)"""
    bias: Tensor
    penalty: float
    """Weight of half the squared norm of `weight` beside the mean cross-entropy."""

    def predict(self, features: Tensor) -> Tensor:
        """Return the classes (M,) of features (M, D)."""
        return self._logits(features).argmax(1)

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Return the share of features (M, D) whose class is the label (M,)."""
        return float((self.predict(features) == labels).double().mean())

    def _logits(self, features: Tensor) -> Tensor:
        return ((features.double() - self.mean) / self.std) @ self.weight.T + self.bias


def fit_linear(
    train: Tensor, labels: Tensor, num_classes: int, penalty: float, start: LinearProbe | None = None
) -> LinearProbe:
    """Return the probe that fits features (N, D) and labels (N,) best under a penalty; `start` only saves time.

    The loss is convex, and minimised by L-BFGS in float64, on the device of the features. Features that do not vary
    have no say.
    """
    train = train.double()
    std, mean = torch.std_mean(train, dim=0, correction=0)
    constant = std <= 1e-9 * mean.abs().clamp(min=1e-9)
    std = torch.where(constant, torch.ones_like(std), std)
    x = ((train - mean) / std) * ~constant
    shape = (num_classes, x.shape[1])
    weight = (start.weight.clone() if start is not None else x.new_zeros(shape)).requires_grad_()
    bias = (start.bias.clone() if start is not None else x.new_zeros(num_classes)).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, tolerance_grad=1e-6, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, labels) + 0.5 * penalty * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return LinearProbe(mean, std, weight.detach() * ~constant, bias.detach(), penalty)


def choose_linear(
    train: Tensor,
    labels: Tensor,
    val: Tensor,
    val_labels: Tensor,
    num_classes: int,
    penalties: Sequence[float] = PENALTIES,
) -> LinearProbe:
    """Return the probe whose penalty got most of the validation split right; of equal ones the strongest.

    Without validation samples the penalty is 1e-3.
    """
    if not len(val):
        return fit_linear(train, labels, num_classes, DEFAULT_PENALTY)
    best: tuple[float, LinearProbe] | None = None
    probe: LinearProbe | None = None
    for penalty in sorted(penalties, reverse=True):
        probe = fit_linear(train, labels, num_classes, penalty, probe)
        accuracy = probe.accuracy(val, val_labels)
        if best is None or accuracy > best[0]:
            best = accuracy, probe
    assert best is not None
    return best[1]
