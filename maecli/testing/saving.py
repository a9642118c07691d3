"""Weights on their way through a checkpoint, without a disk."""

from __future__ import annotations

from safetensors.torch import load, save
from torch import nn

from maecli.run.restore import load_exactly
from maecli.testing.finding import must_work


def hand_over(name: str, module: nn.Module, other: nn.Module) -> None:
    """Give `other`, built alike, the weights of `module`, as a checkpoint would. Raises `Broken` where it cannot."""
    way = "build() must give the same tensors each time, none of them twice"
    with must_work(f"{name} cannot be saved and loaded", way):
        tensors = {path: tensor.detach().contiguous() for path, tensor in module.state_dict().items()}
        load_exactly(other, load(save(tensors)), "the checkpoint")
