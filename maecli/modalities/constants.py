"""Numbers on a device, made once: a copy to a device is waited for, which no training step should do."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


@functools.lru_cache(maxsize=256)
def constant(values: tuple[float, ...], device: torch.device, ndim: int, per_cell: bool = False) -> Tensor:
    """Return float32 values for the channels of (B, C, *S), or its cells along the last axis."""
    tensor = torch.tensor(values, device=device)
    return tensor if per_cell else tensor.reshape(1, -1, *[1] * (ndim - 2))
