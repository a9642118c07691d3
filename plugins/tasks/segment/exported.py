"""Segmentation in an exported file: samples of any size read at once, as `predict_classes` reads them.

Shapes: B batch, C channels, S spatial axes, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api

from .heads import Segmenter
from .tiling import MAX_ASPECT

Length = int | torch.SymInt


class SegmentOutputs(api.export.Outputs):
    """The most likely class of each cell, and probabilities at the size at which the network reads the sample."""

    def __init__(self, module: Segmenter, img_size: Sequence[int], any_size: bool, mirror: int | None) -> None:
        """Take whether samples are of any size, and along which axis a mirror image is read too.

        Others are windows of the model's size, whose logits stand in for the module where samples are read in windows.
        """
        super().__init__()
        self.module, self.img_size, self.any_size, self.mirror = module, tuple(img_size), any_size, mirror
        self.names = {
            "mask": "(batch, *size of the sample): the class of each cell, by its number",
            "probabilities": "(batch, classes, …) in [0, 1], at the size at which the network reads a sample",
            **({} if any_size else {"logits": "(batch, classes, *size), of the sample alone, not of its mirror image"}),
        }
        self.module_output = "" if any_size else "logits"

    def forward(self, x: Tensor, valid: Tensor | None = None) -> dict[str, Tensor]:
        size = x.shape[2:]
        if self.any_size:
            x = F.interpolate(x, working_lengths(size, self.img_size), mode="bilinear", antialias=True)  # type: ignore[arg-type]
        logits = self._read(x, valid)
        probabilities = logits.softmax(1)
        if self.mirror is not None:
            flipped = self._read(x.flip(self.mirror), None if valid is None else valid.flip(self.mirror)).softmax(1)
            probabilities = (probabilities + flipped.flip(self.mirror)) / 2
        if not self.any_size:
            return {"mask": probabilities.argmax(1), "probabilities": probabilities, "logits": logits}
        whole = F.interpolate(probabilities, size, mode="bilinear", antialias=True)
        return {"mask": whole.argmax(1), "probabilities": probabilities}

    def _read(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Return logits (B, Q, *S) of samples, padded to the model's size and what its patch divides."""
        pads: list[Length] = []
        if self.any_size:
            patches = self.module.encoder.patch_size
            for length, own, patch in zip(x.shape[2:], self.img_size, patches, strict=True):
                pads = [0, torch.sym_max(own, length + -length % patch) - length, *pads]
        made: Tensor = self.module(F.pad(x, pads) if pads else x, valid)  # type: ignore[arg-type]
        for axis, length in enumerate(x.shape[2:], start=2):
            made = made.narrow(axis, 0, length)
        return made


def working_lengths(size: Sequence[Length], img_size: Sequence[int]) -> tuple[Length, ...]:
    """Return `tiling.working_size` of whole numbers alone, which a graph can hold; halves are rounded up.

    The scale is the greatest of own / length, no greater than `MAX_ASPECT` times the least.
    """
    lengths: list[Length] = []
    for length in size:
        scaled = [rounded(length * own, other) for own, other in zip(img_size, size, strict=True)]
        most = [rounded(length * own * MAX_ASPECT, other) for own, other in zip(img_size, size, strict=True)]
        least, limit = scaled[0], most[0]
        for each, bound in zip(scaled[1:], most[1:], strict=True):
            least, limit = torch.sym_max(least, each), torch.sym_min(limit, bound)
        lengths.append(torch.sym_max(1, torch.sym_min(least, limit)))
    return tuple(lengths)


def rounded(number: Length, by: Length) -> Length:
    return (2 * number + by) // (2 * by)
