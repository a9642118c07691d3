"""From raw samples to named answers, preprocessing included: what an exported file computes.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maecli.data.card import ends_of
from maecli.exporting.raw import RawInput
from maecli.modalities.preprocess import Preprocess
from maecli.training.outputs import Outputs


class Graph(nn.Module):
    """Samples (B, C, *S) as a file takes them, see `RawInput`, brought to the model and through it, see `Outputs`."""

    low: Tensor
    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, raw: RawInput, outputs: Outputs, own_size: bool = False) -> None:
        """Take whether the outputs see samples of any size at their `own_size`."""
        super().__init__()
        preprocess: Preprocess = raw.preprocess
        self.raw, self.outputs, self.modality, self.size = raw, outputs, preprocess.modality, preprocess.img_size
        self.in_chans, self.resizes = preprocess.in_chans, raw.size is None and not own_size
        short = [want - have for have, want in zip(raw.size or self.size, self.size, strict=True)]
        self.pads = [pad for length in reversed(short) for pad in (0, length)]
        lows, highs = ends_of(preprocess.value_range)
        scale = [1.0 / (high - low) for low, high in zip(lows, highs, strict=True)]
        for name, values in (("low", lows), ("scale", scale), ("mean", preprocess.mean), ("std", preprocess.std)):
            per_cell = self.modality.per_cell and len(values) > 1
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor if per_cell else tensor.reshape(1, -1, *[1] * self.modality.axes))

    def forward(self, samples: Tensor) -> dict[str, Tensor]:
        x = self.modality.resize_in_graph(samples, self.size) if self.resizes else samples.to(torch.float32)
        if any(self.pads):
            x = F.pad(x, self.pads, value=torch.nan)
        valid = ~x.isnan() if self.raw.preprocess.missing else None
        x = (x - self.low) * self.scale
        if self.in_chans != self.raw.channels:
            x = x.expand(-1, self.in_chans, *[-1] * self.modality.axes)
            valid = None if valid is None else valid.expand_as(x)
        x = (x - self.mean) / self.std
        made: dict[str, Tensor] = self.outputs(x if valid is None else torch.where(valid, x, 0.0), valid)
        return made
