"""What travels from loader to task: named tensors, with the random numbers that belong to their samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maecli.data.randomness import Draws
from maecli.errors import Fault


@dataclass
class Batch:
    """Named tensors, first axis the sample: `image` (B, C, *S) float32 normalised, `label` (B,) int64, …"""

    tensors: dict[str, Tensor]
    draws: Draws
    keys: Sequence[str] = ()
    """Names of the samples, where somebody needs them (inference)."""
    faults: Sequence[Fault] = ()
    """Of samples that could not be read."""
    progress: float = 0.0
    """Share of the training run that is done, in [0, 1)."""

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __len__(self) -> int:
        return len(self.draws)

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors and sample numbers on `device`."""
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()}
        draws = Draws(self.draws.seed, self.draws.epoch, self.draws.ids.to(device, non_blocking=True))
        return replace(self, tensors=moved, draws=draws)

    def micro_batches(self, size: int) -> Iterator[Batch]:
        """Yield consecutive parts of at most `size` samples."""
        for start in range(0, len(self), size):
            yield self.narrow(start, min(start + size, len(self)))

    def narrow(self, start: int, stop: int) -> Batch:
        """Return the samples from `start` to `stop`."""
        return replace(
            self,
            tensors={name: tensor[start:stop] for name, tensor in self.tensors.items()},
            draws=self.draws.narrow(start, stop),
            keys=self.keys[start:stop],
            faults=(),
        )
