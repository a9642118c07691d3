"""Classification in an exported file.

Shapes: B batch, Q classes.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from maecli import api


class ClassifyOutputs(api.export.Outputs):
    """Probabilities as inference gives them, calibrated where the run is, and the logits that they come from."""

    module_output = "logits"

    def __init__(
        self, module: api.nets.Classifier, temperature: float, probabilities: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.module, self.temperature, self.probabilities = module, temperature, probabilities
        self.names = {
            "probabilities": "(batch, classes) in [0, 1], calibrated where the run is",
            "logits": "(batch, classes), as the network gives them",
        }

    def forward(self, x: Tensor, valid: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.module(x, valid=valid)
        return {"probabilities": self.probabilities(logits / self.temperature), "logits": logits}
