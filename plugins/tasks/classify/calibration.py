"""How far a classifier of one label per sample is to be believed: what validation samples told of it.

Shapes: B batch, N samples, Q classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maecli import api

from ..pooled.head import outputs_of
from .familiarity import Familiarity, sample_statistics
from .temperature import fit_temperature

TEMPERATURE, NUM = "temperature", "samples"
FEWEST = 2
"""Samples of which there are deviations."""


@dataclass(frozen=True)
class Calibration:
    """The temperature of the logits, and which samples are like none of the classes."""

    temperature: float
    num: int
    """Validation samples that it was learnt from."""
    familiarity: Familiarity | None
    """None where there were next to no samples."""

    def scaled(self, logits: Tensor) -> Tensor:
        """Return logits whose probabilities hold."""
        return logits / self.temperature

    def unsure(self, logits: Tensor, batch: api.Batch, share: float) -> list[bool] | None:
        """Return which samples of a batch are unsure; None where that cannot be told, or not for so small a share."""
        if self.familiarity is None or not self.familiarity.num_unsure(share):
            return None
        return self.familiarity.unsure(logits, sample_statistics(batch["image"]), share).tolist()

    def sentences(self, share: float, unit: str) -> Sequence[str]:
        """Return what it rests on."""
        begin = f"Probabilities are calibrated on {self.num:,} validation {unit} (temperature {self.temperature:.2f})"
        if not share:
            return [f"{begin}."]
        if self.familiarity is None or not self.familiarity.num_unsure(share):
            return [f"{begin}; to mark what is like none of the classes, at a cost of {share:.0%}, they are too few."]
        cost, low, high = self.familiarity.lost(share)
        what = (
            f"Unsure is what is less like the classes than nearly all of these: of {unit} like them {cost:.1%} are to"
        )
        return [f"{begin}. {what} be expected (95% interval: {low:.1%} to {high:.1%})."]

    def tensors(self) -> dict[str, Tensor]:
        numbers = {TEMPERATURE: torch.tensor(self.temperature), NUM: torch.tensor(self.num)}
        return numbers | (self.familiarity.tensors() if self.familiarity is not None else {})

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Calibration | None:
        """Return what `tensors` gave; None where there is nothing."""
        if TEMPERATURE not in tensors:
            return None
        return cls(float(tensors[TEMPERATURE]), int(tensors[NUM]), Familiarity.of_tensors(tensors))

    @classmethod
    def fit(
        cls, module: api.nets.Classifier, train: Iterable[api.Batch], val: Iterable[api.Batch]
    ) -> Calibration | None:
        """Return it of a classifier; None without a validation sample that it has finite logits of."""
        measured = [*_measured(module, val)]
        if not measured:
            return None
        logits, labels, statistics = (torch.cat(parts) for parts in zip(*measured, strict=True))
        temperature = fit_temperature(logits, labels)
        training = torch.cat([sample_statistics(batch["image"]) for batch in train])
        training = training[training.isfinite().all(1)]
        enough = min(len(logits), len(training)) >= FEWEST
        familiarity = Familiarity.fit(training, logits, statistics) if enough else None
        return cls(temperature, len(logits), familiarity)


def _measured(module: api.nets.Classifier, batches: Iterable[api.Batch]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield logits (B, Q), labels (B,) and statistics (B, F) of the samples of which they are finite, on the CPU."""
    for batch in batches:
        logits, statistics = outputs_of(module, batch).cpu(), sample_statistics(batch["image"])
        good = logits.isfinite().all(1) & statistics.isfinite().all(1)
        if good.any():
            yield logits[good], batch["label"].cpu()[good], statistics[good]
