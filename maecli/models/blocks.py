"""The transformer block and its optional parts.

Shapes: B batch, N tokens, D embed_dim.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from maecli.models.attention import Attention
from maecli.models.kernels.amx import Linear


class SampleDraws(Protocol):
    """Random numbers that belong to samples: `maecli.data.randomness.Draws`."""

    def __len__(self) -> int: ...

    def uniform(self, purpose: str, num: int) -> Tensor:
        """Return (B, num) in [0, 1), for each sample its own."""


class DropPath(nn.Module):
    """Leave out a residual branch for a random part of the samples, in training.

    What is left out follows from each sample's own draws inside `drawing_from`, so batches do not change it; outside of
    it from torch's generator. It is called once in a forward pass.
    Source: stochastic depth, arXiv:1603.09382, section 3; kept branches are scaled by 1 / (1 - drop_prob).
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob
        self.noise: Tensor | None = None
        self._draws: tuple[SampleDraws, str] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_prob == 0.0:
            return x
        keep = 1.0 - self.drop_prob
        kept = self._uniform(x) < keep
        return x * (kept.to(x.dtype) / keep).reshape(-1, *[1] * (x.ndim - 1))

    def _uniform(self, x: Tensor) -> Tensor:
        """Return numbers (B,) in [0, 1), one for each row of x (B, ...); several rows in turn may be one sample's."""
        if self.noise is not None and len(self.noise) == len(x):
            return self.noise
        if self._draws is not None and len(x) % len(self._draws[0]) == 0:
            draws, purpose = self._draws
            return draws.uniform(purpose, len(x) // len(draws)).flatten()
        return torch.rand(x.shape[0], device=x.device)

    def draw(self, noise: Tensor | None, draws: SampleDraws | None, number: int) -> None:
        """Take the noise (B,) of a micro-batch, and where more comes from; None: torch's generator."""
        self.noise, self._draws = noise, (draws, f"drop_path {number}") if draws is not None else None


@contextlib.contextmanager
def drawing_from(module: nn.Module, draws: SampleDraws) -> Iterator[None]:
    """Let the samples' own draws say, inside the block, which branches of a module are left out for which of them.

    They are made before the forward pass, which torch.compile can then hold in one graph.
    """
    drops = [part for part in module.modules() if isinstance(part, DropPath) and part.drop_prob > 0.0]
    noise = draws.uniform("drop_path", len(drops)).T if drops else ()  # (drops, B)
    for number, (drop, numbers) in enumerate(zip(drops, noise, strict=True)):
        drop.draw(numbers, draws, number)
    try:
        yield
    finally:
        for drop in drops:
            drop.draw(None, None, 0)


class LayerScale(nn.Module):
    """Scale each channel of a residual branch by a learned factor. Source: arXiv:2103.17239, section 2.2."""

    def __init__(self, embed_dim: int, init: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((embed_dim,), init))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class QuickGELU(nn.Module):
    """x · sigmoid(1.702 x), near GELU: what OpenAI's CLIP was trained with. Source: arXiv:1606.08415, section 2."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


Activation = Literal["gelu", "quick_gelu"]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {"gelu": nn.GELU, "quick_gelu": QuickGELU}


class Mlp(nn.Module):
    def __init__(self, embed_dim: int, hidden_dim: int, activation: Activation = "gelu") -> None:
        super().__init__()
        self.fc1 = Linear(embed_dim, hidden_dim)
        self.act = ACTIVATIONS[activation]()
        self.fc2 = Linear(hidden_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block: x + attention(norm(x)), then x + mlp(norm(x)).

    With `present` (B, N), no token attends to those where it is False.
    Source: ViT, arXiv:2010.11929, equations 2 and 3.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        norm_eps: float = 1e-6,
        activation: Activation = "gelu",
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.attn = Attention(embed_dim, num_heads)
        self.norm2 = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.mlp = Mlp(embed_dim, int(embed_dim * mlp_ratio), activation)
        self.ls1 = LayerScale(embed_dim, layer_scale) if layer_scale else nn.Identity()
        self.ls2 = LayerScale(embed_dim, layer_scale) if layer_scale else nn.Identity()
        self.drop_path1, self.drop_path2 = DropPath(drop_path), DropPath(drop_path)

    def forward(self, x: Tensor, present: Tensor | None = None, angles: Tensor | None = None) -> Tensor:
        x = x + self.drop_path1(self.ls1(self.attn(self.norm1(x), present, angles)))
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))


def init_weights(module: nn.Module) -> None:
    """Initialise as the official MAE does: linear layers Xavier-uniform with zero bias.

    Layer norms keep torch's ones and zeros. Use with `module.apply(init_weights)`.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
