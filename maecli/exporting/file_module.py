"""An exported file in place of a task's module, so that evaluation and inference run it.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from maecli.exporting.format import Run
from maecli.exporting.raw import RawInput


class FileModule(nn.Module):
    """Hands raw samples to a file, and returns what the task's module would; on the CPU, in float32."""

    def __init__(self, run: Run, raw: RawInput, module_output: str, encoder: Any) -> None:
        """Take the output that is the module's own, and an encoder of the same sizes, whose weights mean nothing."""
        super().__init__()
        self.run, self.raw, self.module_output = run, raw, module_output
        object.__setattr__(self, "encoder", encoder)  # no part of this module

    def answers(self, x: Tensor, valid: Tensor | None = None) -> Mapping[str, Tensor]:
        """Return the outputs of the file for what the module would see: normalised samples x (B, C, *S)."""
        return self.run(self.raw.from_model(x, valid))

    def forward(self, x: Tensor, valid: Tensor | None = None, **_: Any) -> Tensor:
        return self.answers(x, valid)[self.module_output]
