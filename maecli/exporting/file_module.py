"""An exported file in place of a task's module or encoder, so that evaluation, inference and embedding run it.

Shapes: B batch, C channels, S spatial axes, D embed_dim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from maecli.exporting.format import Run
from maecli.exporting.raw import RawInput
from maecli.models.encoder import Encoder

FEATURES = "features"
"""The output (B, D) of a file by which it stands in for an encoder."""


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


class FileEncoder(Encoder):
    """Hands raw samples to a file, and returns the features it gives as the one token of each sample."""

    can_mask = False

    def __init__(self, run: Run, raw: RawInput, encoder: Encoder) -> None:
        """Take an encoder of the same sizes, whose weights mean nothing."""
        super().__init__()
        self.run, self.raw = run, raw
        self.embed_dim, self.depth, self.num_prefix_tokens = encoder.embed_dim, encoder.depth, 0
        self.img_size, self.patch_size, self.in_chans = encoder.img_size, encoder.patch_size, encoder.in_chans

    def forward(self, x: Tensor, ids_keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        return self.run(self.raw.from_model(x, valid))[FEATURES][:, None]  # (B, 1, D)

    def features(self, x: Tensor, depths: Sequence[int], valid: Tensor | None = None) -> list[Tensor]:
        raise NotImplementedError("a file gives no maps")

    def present(self, valid: Tensor | None, ids_keep: Tensor | None = None) -> Tensor | None:
        return None

    def layer_of(self, name: str) -> int:
        raise NotImplementedError("a file has no layers")
