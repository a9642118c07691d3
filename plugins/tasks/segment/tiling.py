"""From pictures of any size to a class per pixel: resized to what a model knows, read whole or in windows.

Shapes: B batch, C channels, H, W height and width of the picture, h, w of the resized one, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api

from .heads import Segmenter

Inference = Literal["whole", "slide"]

MAX_ASPECT = 8
"""How many times as long as the model's own a resized side may be; a longer picture is made smaller than it."""
MAX_WHOLE = 4
"""How many times as large as the model's own picture one that is read whole may be; a larger one is read in windows."""
WINDOWS_AT_ONCE = 8
BAND_VALUES = 1 << 23
"""Probabilities that are held at a picture's own size at once: a photograph of many classes would fill the memory."""


def working_size(size: Sequence[int], img_size: Sequence[int]) -> tuple[int, int]:
    """Return the size (h, w) at which a picture (H, W) is read: its own aspect ratio, just covering `img_size`.

    One that would be over `MAX_ASPECT` times as long as `img_size` stays below it in the other axis.
    """
    scale = max(own / length for own, length in zip(img_size, size, strict=True))
    scale = min(scale, *(MAX_ASPECT * own / length for own, length in zip(img_size, size, strict=True)))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def predict_classes(
    module: Segmenter,
    x: Tensor,
    img_size: Sequence[int],
    inference: Inference = "whole",
    stride: float = 2 / 3,
    flip: bool = False,
    valid: Tensor | None = None,
) -> Tensor:
    """Return the classes (B, H, W) uint8 of normalised pictures x (B, C, H, W), at their own size.

    Pictures are resized to `working_size`, antialiased, and padded with zeros, the mean colour, to `img_size` at least
    and to what the patch divides. "whole" reads them at once, "slide" in windows of `img_size` that lie `stride` of a
    window apart; where windows overlap, and over a picture and its mirror image with `flip`, probabilities are
    averaged. They, not classes, are brought to the picture's own size. Where not all cells are `valid` (B, C, H, W),
    what is padded is missing too.
    """
    H, W = x.shape[2:]
    h, w = working_size((H, W), img_size)
    x = api.nets.zero_missing(x, valid)
    if (h, w) != (H, W):
        x = F.interpolate(x, (h, w), mode="bilinear", antialias=True)
        valid = None if valid is None else F.interpolate(valid.to(torch.uint8), (h, w), mode="nearest-exact").bool()
    area = max(h, img_size[0]) * max(w, img_size[1])
    if inference == "whole" and area <= MAX_WHOLE * img_size[0] * img_size[1]:
        probabilities = _read(module, x, valid, img_size, flip)
    else:
        probabilities = _slide(module, x, valid, img_size, stride, flip)
    return torch.stack([_most_likely(picture, (H, W)) for picture in probabilities])


def _read(module: Segmenter, x: Tensor, valid: Tensor | None, img_size: Sequence[int], flip: bool) -> Tensor:
    """Return probabilities (B, Q, h, w) float32 of pictures, padded on the right and below."""
    h, w = x.shape[2:]
    # no smaller than the model's own picture, and a whole number of patches
    down, across = (
        max(own, length + -length % patch) - length
        for length, own, patch in zip((h, w), img_size, module.encoder.patch_size, strict=True)
    )

    def read(pictures: Tensor, valid: Tensor | None) -> Tensor:
        pad = (0, across, 0, down)
        logits: Tensor = module(F.pad(pictures, pad), None if valid is None else F.pad(valid, pad))
        return logits.float().softmax(1)[:, :, :h, :w]

    if not flip:
        return read(x, valid)
    mirrored = read(x.flip(3), None if valid is None else valid.flip(3))
    return (read(x, valid) + mirrored.flip(3)) / 2


def _slide(
    module: Segmenter, x: Tensor, valid: Tensor | None, img_size: Sequence[int], stride: float, flip: bool
) -> Tensor:
    """Return probabilities (B, Q, h, w) float32, averaged over the windows that see a pixel."""
    B, _, h, w = x.shape
    places = [(top, left) for top in _starts(h, img_size[0], stride) for left in _starts(w, img_size[1], stride)]
    total, count = x.new_zeros(()), x.new_zeros(h, w)
    step = max(1, WINDOWS_AT_ONCE // B)
    for first in range(0, len(places), step):
        group = places[first : first + step]
        windows, cells = _windows(x, group, img_size), None if valid is None else _windows(valid, group, img_size)
        probabilities = _read(module, windows, cells, img_size, flip)
        if total.ndim == 0:
            total = probabilities.new_zeros(B, probabilities.shape[1], h, w)
        for (top, left), part in zip(group, torch.split(probabilities, B), strict=True):
            rows, columns = slice(top, top + part.shape[2]), slice(left, left + part.shape[3])
            total[:, :, rows, columns] += part
            count[rows, columns] += 1
    return total / count


def _windows(x: Tensor, places: Sequence[tuple[int, int]], size: Sequence[int]) -> Tensor:
    """Return the parts of `size` (h, w) of x (B, C, H, W) that begin at some places, B of each, one after another."""
    return torch.cat([x[:, :, top : top + size[0], left : left + size[1]] for top, left in places])


def _starts(length: int, window: int, stride: float) -> list[int]:
    """Return where windows begin along an axis; the last one ends with the picture."""
    last = max(0, length - window)
    return [*range(0, last, max(1, round(stride * window))), last]


def _most_likely(probabilities: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the classes (H, W) uint8 of probabilities (Q, h, w), interpolated to `size` in bands of rows."""
    Q, h, w = probabilities.shape
    H, W = size
    smaller = (min(H, h), min(W, w))
    if smaller != (h, w):  # along the axes in which the picture was enlarged
        probabilities = F.interpolate(probabilities[None], smaller, mode="bilinear", antialias=True)[0]
    if smaller == (H, W):
        return probabilities.argmax(0).to(torch.uint8)
    row = ((torch.arange(H, device=probabilities.device) + 0.5) * smaller[0] / H - 0.5).clamp(0, smaller[0] - 1)
    above, share = row.long(), (row - row.floor()).unsqueeze(1)
    below = (above + 1).clamp(max=smaller[0] - 1)
    classes = torch.empty(H, W, dtype=torch.uint8, device=probabilities.device)
    band = max(1, BAND_VALUES // (Q * W))
    for rows in torch.split(torch.arange(H, device=probabilities.device), band):
        lines = torch.lerp(probabilities[:, above[rows]], probabilities[:, below[rows]], share[rows])  # (Q, rows, w)
        # classes last in memory: interpolating and comparing them take a third of the time
        lines = lines[None].contiguous(memory_format=torch.channels_last)
        wide = F.interpolate(lines, (len(rows), W), mode="bilinear", align_corners=False)[0]
        classes[rows] = wide.argmax(0).to(torch.uint8)
    return classes
