"""Forecasts in an exported file.

Shapes: B batch, C channels, L steps of a window, Q columns to forecast, H steps of the horizon, R quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from maecli import api

from .module import Forecaster


class ForecastOutputs(api.export.Outputs):
    """What follows a window, in the units of the data, with quantiles where there are some, and standardised."""

    module_output = "standardised"
    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        module: Forecaster,
        scale: Sequence[float],
        offset: Sequence[float],
        point: int,
        quantiles: Sequence[float],
        targets: Sequence[str],
    ) -> None:
        """Take what is 1, and what is 0, in standardised values of each column, and which quantile is the forecast."""
        super().__init__()
        self.module, self.point, self.quantiles = module, point, tuple(quantiles)
        for name, values in (("scale", scale), ("offset", offset)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1))
        columns, steps = ", ".join(targets), f"{module.horizon} steps"
        self.names = {
            "forecast": f"(batch, columns, {steps}) of {columns}, in the units of the data",
            **({"quantiles": f"(batch, columns, {steps}, quantiles {list(quantiles)})"} if quantiles else {}),
            "standardised": "(batch, columns, steps, quantiles), columns as the model sees them",
        }

    def forward(self, x: Tensor, valid: Tensor | None = None) -> dict[str, Tensor]:
        made = self.module(x, valid)
        values = (made.sort(-1).values if self.quantiles else made) * self.scale + self.offset
        more = {"quantiles": values} if self.quantiles else {}
        return {"forecast": values[..., self.point], **more, "standardised": made}
