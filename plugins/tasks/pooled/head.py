"""A head on the pooled tokens of a sample: its options, and what it makes of a batch.

Shapes: B batch, Q outputs.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from maecli import api


class HeadOptions(api.Options):
    """Options of a task whose module is a `Classifier`."""

    pool: Literal["mean", "cls"] = Field(default="mean", description="mean of the patch tokens, or class token")
    head: Literal["linear", "mlp"] = Field(default="linear", description="what stands on the pooled token")
    head_norm: Literal["auto", "none", "batch"] = Field(
        default="auto",
        description="batch: standardise features over the batch before the head, without parameters, "
        "arXiv:2111.06377, appendix A.1; auto: batch where the encoder is frozen, else none",
    )

    def norm_on(self, encoder: api.Encoder) -> api.nets.HeadNorm:
        """Return what standardises the features of an encoder."""
        if self.head_norm == "auto":
            return "batch" if encoder.frozen else "none"
        return self.head_norm


def outputs_of(module: api.nets.Classifier, batch: api.Batch) -> Tensor:
    """Return outputs (B, Q) float32 of a batch of samples, or of features computed before."""
    if "features" in batch:
        return module(features=batch["features"])
    return module(batch["image"], valid=batch.tensors.get("valid"))


def features_of(module: api.nets.Classifier, batch: api.Batch) -> Tensor:
    """Return what `outputs_of` takes as features of a batch of samples."""
    return module.pooled(batch["image"], valid=batch.tensors.get("valid"))
