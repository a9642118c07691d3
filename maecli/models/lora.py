"""Low-rank adaptation: beside the weight of a linear layer, which stays as it is, a product of thin matrices learns.

Source: LoRA, arXiv:2106.09685, section 4.1. Shapes: I inputs, O outputs, r rank.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maecli.models.encoder import Encoder
from maecli.models.kernels.amx import Linear

A, B = "lora_a", "lora_b"
"""What the two matrices of a layer are called, beside its `weight` and `bias`."""
M = TypeVar("M", bound=nn.Module)


class LoraLinear(Linear):
    """x Wᵀ + bias + alpha / r · dropout(x) Aᵀ Bᵀ, with A (r, I) and B (O, r).

    It takes over the weight and the bias of a layer under their names. B is 0 at the start, so that the layer begins as
    what it was; A is drawn as the authors' code does, uniform within 1 / √I.
    """

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        self.weight, self.bias, self.alpha = layer.weight, layer.bias, alpha
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.lora_a = nn.Parameter(self.weight.new_empty(rank, self.in_features))
        self.lora_b = nn.Parameter(self.weight.new_zeros(self.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        thin = F.linear(self.dropout(x), self.lora_a) * (self.alpha / len(self.lora_a))
        return super().forward(x) + F.linear(thin, self.lora_b)

    def merged(self) -> Linear:
        """Return a plain layer that gives the same as this one in evaluation."""
        layer = Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        weight = self.weight.detach() + _product(self.lora_a.detach(), self.lora_b.detach(), self.alpha)
        layer.weight, layer.bias = nn.Parameter(weight), self.bias
        return layer.train(self.training)


def _product(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """Return what A and B add to a weight, (O, I)."""
    return (alpha / len(a)) * (b @ a)


def add_lora(encoder: Encoder, rank: int, alpha: float, layers: Sequence[str], dropout: float = 0.0) -> None:
    """Let adapters in linear layers of the blocks learn, and layer norms; the rest of an encoder stays as it is.

    `layers` are the last parts of their names, such as qkv. Blocks that are frozen get none. Raises ValueError for
    names that no layer has, and for a rank that is no lower than the layers' own.
    """
    learning = [
        (name, part)
        for name, part in encoder.named_modules()
        if isinstance(part, nn.Linear | nn.LayerNorm)
        and encoder.frozen_blocks < encoder.layer_of(f"{name}.weight") <= encoder.depth + 1
    ]
    linear = {name: part for name, part in learning if isinstance(part, nn.Linear) and _in_block(encoder, name)}
    _check(layers, rank, linear)
    encoder.requires_grad_(False)
    for _, part in learning:
        if isinstance(part, nn.LayerNorm):
            part.requires_grad_(True)
    for name, layer in linear.items():
        parent, _, own = name.rpartition(".")
        if own in layers:
            setattr(encoder.get_submodule(parent), own, LoraLinear(layer, rank, alpha, dropout))


def _in_block(encoder: Encoder, name: str) -> bool:
    return 0 < encoder.layer_of(f"{name}.weight") <= encoder.depth


def _check(layers: Sequence[str], rank: int, linear: Mapping[str, nn.Linear]) -> None:
    known = sorted({name.rpartition(".")[2] for name in linear})
    if not known:
        raise ValueError("its blocks have no linear layers that learn, so adapt has none to adapt")
    if unknown := [name for name in layers if name not in known]:
        raise ValueError(
            f"adapt.layers names {', '.join(unknown)}; the linear layers of its blocks: {', '.join(known)}"
        )
    widest = min(min(layer.weight.shape) for name, layer in linear.items() if name.rpartition(".")[2] in layers)
    if rank >= widest:
        raise ValueError(f"adapt.rank ({rank}) must be below {widest}, the full rank of the layers that it adapts")


def is_lora(name: str) -> bool:
    """Whether a tensor of this name is one of an adapter."""
    return name.rpartition(".")[2] in (A, B)


def merged(module: M) -> M:
    """Return a copy of a module with its adapters in the weights, W + alpha / r · B A, and no other tensors than those
    of a module without adapters.
    """
    whole = copy.deepcopy(module)
    for parent in list(whole.modules()):
        for name, part in parent.named_children():
            if isinstance(part, LoraLinear):
                setattr(parent, name, part.merged())
    return whole


@torch.no_grad()
def merged_tensors(tensors: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Return what `merged` does, of named tensors."""
    whole = {name: tensor for name, tensor in tensors.items() if not is_lora(name)}
    for name, a in tensors.items():
        layer, _, own = name.rpartition(".")
        if own == A:
            whole[f"{layer}.weight"] = whole[f"{layer}.weight"] + _product(a, tensors[f"{layer}.{B}"], alpha)
    return whole
