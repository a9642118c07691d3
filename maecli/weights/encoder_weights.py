"""An encoder's tensors under our names, and what has to be known of them to use them.

Shapes: D embed_dim, C channels, p patch sizes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from maecli.weights.decoder_weights import DecoderWeights
from maecli.weights.pixels import PixelScale

WIDE_HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16}
"""Published widths whose heads are wider than 64: SoViT-400m (arXiv:2305.13035), ViT-H (arXiv:2010.11929, table 1),
ViT-g and ViT-G (arXiv:2106.04560, table 2)."""
BLOCK = re.compile(r"blocks\.(\d+)\.")


@dataclass(frozen=True)
class EncoderWeights:
    """The tensors of an encoder, named as in ours, and the shape that they were trained in."""

    source: str
    """Where they come from, as messages name it."""
    format: str
    """Whose names they had; empty for a run of mae."""
    tensors: Mapping[str, Tensor]
    """Also those that ours has no place for, under names of their own."""
    patch_size: tuple[int, ...] = ()
    in_chans: int = 0
    grid: tuple[int, ...] = ()
    """Patches along each axis that the positions stand for; empty if it cannot be told."""
    cells: tuple[str, ...] = ()
    """Names of the cells that the positions stand for, where these have names, as a table's columns."""
    num_heads: int | None = None
    """None where the file does not record it."""
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What was made of tensors that ours has and theirs has not, with the names: {"zero for its lack of …": (…)}."""
    num_others: int = 0
    """Tensors that belong to no encoder: of a decoder or a head."""
    activation: str | None = None
    """Of its MLPs, which no tensor shows; None where it is not known."""
    rotary: float | None = None
    """The base of rotary positions; None where positions are added to the tokens."""
    norm_eps: float | None = None
    """What its layer norms add to the variance, where that is known to be more than ours add."""
    pixels: PixelScale | None = None
    """How the pixels that it learnt from were normalised; None where its files do not say, and of our own runs."""
    img_size: tuple[int, ...] = ()
    """The size of the pictures that it is for; empty where that cannot be told."""
    decoder: DecoderWeights | None = None
    """What predicted pixels from its tokens; None where it is not there, and of our own runs."""

    @property
    def embed_dim(self) -> int:
        return self.tensors["norm.weight" if "norm.weight" in self.tensors else "blocks.0.norm1.weight"].shape[0]

    @property
    def depth(self) -> int:
        numbers = {int(match[1]) for name in self.tensors if (match := BLOCK.match(name))}
        return max(numbers, default=-1) + 1

    @property
    def assumed_heads(self) -> int:
        """The attention heads on record, else as many as published models of this width have: 64 wide each."""
        if self.num_heads is not None:
            return self.num_heads
        if self.embed_dim in WIDE_HEADS:
            return WIDE_HEADS[self.embed_dim]
        return next(heads for heads in range(max(1, self.embed_dim // 64), 0, -1) if self.embed_dim % heads == 0)

    def model_options(self) -> dict[str, Any]:
        """Return the options by which a vision transformer gets this shape."""
        rare: dict[str, Any] = {}  # options that a model need not have where these weights do without
        if "reg_token" in self.tensors:
            rare["registers"] = self.tensors["reg_token"].shape[1]
        if "norm_pre.weight" in self.tensors:
            rare["pre_norm"] = True
        if self.activation not in (None, "gelu"):
            rare["activation"] = self.activation
        if self.rotary is not None:
            rare["rotary"] = self.rotary
        if self.norm_eps is not None:
            rare["norm_eps"] = self.norm_eps
        return rare | {
            "patch_size": _one_or_all(self.patch_size),
            "embed_dim": self.embed_dim,
            "depth": self.depth,
            "num_heads": self.assumed_heads,
            "mlp_ratio": mlp_ratio(self.embed_dim, self.tensors["blocks.0.mlp.fc1.weight"].shape[0]),
            "layer_scale": 1e-5 if "blocks.0.ls1.gamma" in self.tensors else None,  # a start that is overwritten
        }

    def offer(self) -> dict[str, Any]:
        """Return what a run that starts from these weights takes over from them, as parts of a spec.

        Model and task have options and no name: any that have these options will do.
        """
        size = {"img_size": _one_or_all(self.img_size)} if self.img_size else {}
        data = {"mean": list(self.pixels.mean), "std": list(self.pixels.std)} if self.pixels else {}
        task = dict(self.decoder.options) if self.decoder is not None else {}
        return {"model": self.model_options() | size, "data": data, "task": task}


def mlp_ratio(width: int, hidden: int) -> float:
    """Return the option by which an MLP behind tokens of a width has a hidden layer of another."""
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)


def _one_or_all(lengths: tuple[int, ...]) -> int | list[int]:
    return lengths[0] if len(set(lengths)) == 1 else list(lengths)


def heads_of(encoder: nn.Module) -> int | None:
    """Return the attention heads of an encoder, None where it has none or blocks differ."""
    numbers = (getattr(module, "num_heads", None) for module in encoder.modules())
    found = {number for number in numbers if isinstance(number, int)}
    return found.pop() if len(found) == 1 else None
