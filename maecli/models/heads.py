"""Heads from tokens to classes.

Shapes: B batch, T prefix tokens, N patches, D embed_dim, Q classes.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maecli.models.blocks import init_weights
from maecli.models.encoder import Encoder
from maecli.models.missing import zero_absent

Pool = Literal["mean", "cls"]
HeadNorm = Literal["none", "batch"]


def pool_tokens(tokens: Tensor, num_prefix_tokens: int, pool: Pool, present: Tensor | None = None) -> Tensor:
    """Return one vector (B, D) per sample: the mean of the patch tokens, or the class token.

    With `present` (B, N), the mean is over the patches where it is True; 0 where there is none.
    """
    if pool == "cls":
        return tokens[:, 0]
    patches = tokens[:, num_prefix_tokens:]
    if present is None:
        return patches.mean(dim=1)
    return zero_absent(patches, present).sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1)


class FeatureNorm(nn.BatchNorm1d):
    """Standardise each feature of (B, D) over the batch, in float32; it has statistics, and no parameters.

    It lets the usual learning rates serve features of any scale. A batch of one sample has no deviation, and is
    standardised by the running statistics.
    Source: MAE, arXiv:2111.06377, appendix A.1, "Linear probing".
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__(embed_dim, eps=1e-6, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            return F.batch_norm(x.float(), self.running_mean, self.running_var, eps=self.eps)
        return super().forward(x.float())


class ClassifierHead(nn.Sequential):
    """Linear layer, or a perceptron of one hidden layer as wide as the encoder; `norm` batch standardises first."""

    def __init__(
        self, embed_dim: int, num_classes: int, kind: Literal["linear", "mlp"] = "linear", norm: HeadNorm = "none"
    ) -> None:
        last = nn.Linear(embed_dim, num_classes)
        first: list[nn.Module] = [FeatureNorm(embed_dim)] if norm == "batch" else []
        hidden = [nn.Linear(embed_dim, embed_dim), nn.GELU()] if kind == "mlp" else []
        super().__init__(*first, *hidden, last)
        self.apply(init_weights)
        nn.init.trunc_normal_(last.weight, std=2e-5)  # the official fine-tuning start: all classes alike


class Classifier(nn.Module):
    """An encoder with a head on its pooled tokens."""

    def __init__(self, encoder: Encoder, head: ClassifierHead, pool: Pool = "mean") -> None:
        super().__init__()
        if pool == "cls" and encoder.num_prefix_tokens == 0:
            raise ValueError("pool 'cls' needs an encoder with a class token; use 'mean'")
        self.encoder, self.head, self.pool = encoder, head, pool

    def forward(
        self,
        x: Tensor | None = None,
        ids_keep: Tensor | None = None,
        valid: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Return logits (B, Q) float32, from all patches of x or from those in `ids_keep` (B, K).

        `features`, in place of x, is what `pooled` returned of it before.
        """
        if features is None:
            assert x is not None
            features = self.pooled(x, ids_keep, valid)
        logits: Tensor = self.head(features)
        return logits.to(torch.float32)

    def pooled(self, x: Tensor, ids_keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Return what the head sees (B, D), from all patches or from those in `ids_keep` (B, K)."""
        tokens, present = self.encoder(x, ids_keep, valid), self.encoder.present(valid, ids_keep)
        return pool_tokens(tokens, self.encoder.num_prefix_tokens, self.pool, present)
