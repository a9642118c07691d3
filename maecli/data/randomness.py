"""Random numbers that are a function of (seed, epoch, sample, purpose) and of nothing else.

A counter-based generator (the finaliser of SplitMix64: Steele, Lea, Flood 2014, "Fast splittable pseudorandom
number generators", figure 17) on int64 tensors. Batches, workers, restarts and devices cannot change a draw.

Shapes: B batch.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX1 = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_MIX2 = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64, which torch only has as an arithmetic one."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _MIX1
    z = (z ^ _shift(z, 27)) * _MIX2
    return z ^ _shift(z, 31)


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**63) that depends on every part: `derive_seed(seed, "order", epoch)`."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Draws:
    """The random numbers of one batch: for each sample its own streams, one per purpose.

    Args:
        seed: the run's seed.
        epoch: which pass over the data; -1 for fixed draws, such as the test masks.
        ids: (B,) int64, the samples' positions in their split.
    """

    def __init__(self, seed: int, epoch: int, ids: Tensor) -> None:
        self.seed, self.epoch, self.ids = seed, epoch, ids

    def __len__(self) -> int:
        return len(self.ids)

    def uniform(self, purpose: str, num: int) -> Tensor:
        """Return (B, num) float32 in [0, 1), on the device of the ids."""
        key = derive_seed(self.seed, self.epoch, purpose)
        base = _mix(self.ids.to(torch.int64) * _GOLDEN + key)  # (B,)
        counter = torch.arange(1, num + 1, device=self.ids.device) * _GOLDEN
        bits = _mix(base[:, None] + counter)  # (B, num)
        return _shift(bits, 40).to(torch.float32) * (1.0 / (1 << 24))

    def normal(self, purpose: str, num: int) -> Tensor:
        """Return (B, num) float32, standard normal (Box–Muller)."""
        u = self.uniform(purpose, 2 * num)
        radius = torch.sqrt(-2.0 * torch.log1p(-u[:, :num]))
        return radius * torch.cos(2.0 * math.pi * u[:, num:])

    def narrow(self, start: int, stop: int) -> Draws:
        """Return the draws of the samples from `start` to `stop`, for a micro-batch."""
        return Draws(self.seed, self.epoch, self.ids[start:stop])
