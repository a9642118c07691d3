"""Windows of series less their own level, so that a model sees how they move and not where they are.

Shapes: B batch, C channels, L steps.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from maecli.models.missing import zero_missing

WindowNorm = Literal["revin", "last", "none"]
"""What is taken from each channel of a window, and given back to what is forecast of it.

revin: its mean, and it is divided by its deviation, as reversible instance normalisation does (Kim et al. 2022, ICLR),
here without its trained scale; last: its last value, as NLinear does, arXiv:2205.13504, section 4; none: nothing.
"""
EPS = 1e-5


def last_value(x: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the last value (B, C, 1) of x (B, C, L) that is `valid`, 0 where none is."""
    if valid is None:
        return x[..., -1:]
    steps = torch.arange(1, x.shape[-1] + 1, device=x.device)
    place = (valid * steps).argmax(-1, keepdim=True)
    return zero_missing(x, valid).gather(-1, place)


def level_and_scale(x: Tensor, how: WindowNorm, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return what to take from x (B, C, L) and what to divide it by then, each (B, C, 1), of `valid` cells."""
    if how == "last":
        level = last_value(x, valid)
        return level, torch.ones_like(level)
    if how == "none":
        return torch.zeros_like(x[..., :1]), torch.ones_like(x[..., :1])
    if valid is None:
        variance, level = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
        return level, (variance + EPS).sqrt()
    num = valid.sum(-1, keepdim=True).clamp(min=1)
    level = zero_missing(x, valid).sum(-1, keepdim=True) / num
    variance = zero_missing(x - level, valid).square().sum(-1, keepdim=True) / num
    return level, (variance + EPS).sqrt()
