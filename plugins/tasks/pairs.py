"""Pairs of samples, which stay together however a batch is parted."""

from __future__ import annotations

import torch
from torch import Tensor


def partners(batch: Tensor) -> Tensor:
    """Return which sample each (B,) is paired with: that at 2i with that at 2i + 1, an odd last with itself."""
    num = len(batch)
    return (torch.arange(num, device=batch.device) ^ 1).clamp(max=num - 1)
