"""Which samples are like none of the classes: less like them than nearly all of validation.

Shapes: B batch, N samples, C channels, S spatial axes, Q classes, F statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

PREFIX = "familiarity."
ALIKE = 1e-4
"""How far scores, in deviations, may be apart that count as equal: what rounds differently, as an exported file, says
of a validation sample what its run says."""


@dataclass(frozen=True)
class Familiarity:
    """How familiar samples are, and how familiar validation samples were.

    It is the sum of two numbers, each in deviations of the validation samples: the largest logit, which says how much
    the network finds of any class, arXiv:1911.11132, section 4; and the negative squared Mahalanobis distance of the
    sample's plain statistics from those of training, arXiv:1807.03888, equation 2, with statistics for features. They
    see what the network was never made to look at, such as drawings among photographs, and are of training samples what
    they are of others: features are not, once a small encoder has learnt the former by heart.
    """

    center: Tensor
    """Mean (F,) of the statistics of training samples."""
    precision: Tensor
    """The inverse (F, F) of their covariance, shrunk: Ledoit and Wolf, 2004."""
    location: Tensor
    scale: Tensor
    """Mean and deviation (2,) of the two numbers over validation samples."""
    scores: Tensor
    """Familiarity (N,) of the validation samples, in order."""

    def score(self, logits: Tensor, statistics: Tensor) -> Tensor:
        """Return the familiarity (B,) float64 of samples, from logits (B, Q) and statistics (B, F), on the CPU."""
        parts = _parts(logits, statistics, self.center, self.precision)
        return ((parts - self.location) / self.scale).sum(-1)

    def unsure(self, logits: Tensor, statistics: Tensor, share: float) -> Tensor:
        """Return which samples (B,) are as unfamiliar as at most this share of samples like those of validation.

        The p-value of a sample is the rank of its score among theirs. For one that is like them it is at most `share`
        with a probability of at most `share`, whatever the score: conformal p-values, arXiv:2104.08279, equation 3.
        """
        rank = 1 + torch.searchsorted(self.scores, self.score(logits, statistics) + ALIKE, right=True)
        return rank <= self.num_unsure(share)

    def num_unsure(self, share: float) -> int:
        """Return which place from below marks the threshold, from 1; at 0 they are too few for one."""
        return int(share * (len(self.scores) + 1) + 1e-9)

    def lost(self, share: float) -> tuple[float, float, float]:
        """Return what share of samples like those of validation is unsure: what to expect, and its 95% interval.

        Of N samples the k-th lowest marks a share that is Beta(k, N + 1 - k): arXiv:1209.2673, section 3.
        """
        from scipy.stats import beta  # type: ignore[import-untyped]  # slow to import

        k, num = self.num_unsure(share), len(self.scores)
        low, high = beta(k, num + 1 - k).interval(0.95)
        return k / (num + 1), float(low), float(high)

    def tensors(self) -> dict[str, Tensor]:
        return {PREFIX + name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Familiarity | None:
        """Return what `tensors` gave; None where there is nothing of it."""
        found = {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}
        return cls(**found) if found else None

    @classmethod
    def fit(cls, training: Tensor, logits: Tensor, statistics: Tensor) -> Familiarity:
        """Return it of statistics (N, F) of training, and of logits and statistics of validation, two or more each."""
        from sklearn.covariance import ledoit_wolf  # type: ignore[import-untyped]  # slow to import

        center, scale = training.mean(0), training.std(0).clamp(min=1e-6)
        covariance = torch.from_numpy(ledoit_wolf(((training - center) / scale).numpy())[0])
        precision = torch.linalg.pinv(covariance, hermitian=True) / scale / scale[:, None]
        parts = _parts(logits, statistics, center, precision)
        location, deviation = parts.mean(0), parts.std(0).clamp(min=1e-6)
        scores = ((parts - location) / deviation).sum(-1).sort().values
        return cls(center, precision, location, deviation, scores)


def sample_statistics(image: Tensor) -> Tensor:
    """Return (B, F) float64 of samples (B, C, *S), on the CPU.

    Of each channel: mean, deviation, and the mean step between neighbours along each axis that has any.
    """
    axes = tuple(range(2, image.ndim))
    steps = [image.diff(dim=axis).abs().mean(axes) for axis in axes if image.shape[axis] > 1]
    return torch.cat([image.mean(axes), image.std(axes, correction=0), *steps], dim=1).double().cpu()


def _parts(logits: Tensor, statistics: Tensor, center: Tensor, precision: Tensor) -> Tensor:
    """Return the largest logit and the negative squared distance (N, 2)."""
    apart = statistics - center
    distance = ((apart @ precision) * apart).sum(-1)
    return torch.stack([logits.double().cpu().amax(-1), -distance], dim=-1)
