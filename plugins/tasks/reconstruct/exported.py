"""A pretrained encoder in an exported file.

Shapes: B batch, D embed_dim.
"""

from __future__ import annotations

from torch import Tensor

from maecli import api


class FeatureOutputs(api.export.Outputs):
    """The mean of the patch tokens, as `mae embed` gives it; nothing is hidden, and the decoder stays behind."""

    can_be_measured = False

    def __init__(self, encoder: api.Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = {"features": f"(batch, {encoder.embed_dim}), the mean of the patch tokens after the last norm"}

    def forward(self, x: Tensor, valid: Tensor | None = None) -> dict[str, Tensor]:
        tokens, present = self.encoder(x, valid=valid), self.encoder.present(valid)
        return {"features": api.nets.pool_tokens(tokens, self.encoder.num_prefix_tokens, "mean", present)}
