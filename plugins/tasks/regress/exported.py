"""Regression in an exported file.

Shapes: B batch.
"""

from __future__ import annotations

from torch import Tensor

from maecli import api


class RegressOutputs(api.export.Outputs):
    """The number that is predicted, in its unit, and as the network gives it."""

    module_output = "standardised"

    def __init__(self, module: api.nets.Classifier, mean: float, deviation: float, target: str) -> None:
        super().__init__()
        self.module, self.mean, self.deviation = module, mean, deviation
        self.names = {
            "value": f"(batch,) {target}, in its unit",
            "standardised": "(batch, 1), less the mean and over the deviation of what was learnt from",
        }

    def forward(self, x: Tensor, valid: Tensor | None = None) -> dict[str, Tensor]:
        made = self.module(x, valid=valid)
        return {"value": made[:, 0] * self.deviation + self.mean, "standardised": made}
