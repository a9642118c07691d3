"""From samples of any size to a class per cell: resized to what a model knows, read whole or in windows.

Shapes: B batch, C channels, S spatial axes of the sample, s of the resized one, Q classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api

from .heads import Segmenter, padded, resized

Inference = Literal["whole", "slide"]

MAX_ASPECT = 8
"""How many times as long as the model's own a resized side may be; a longer sample is made smaller than it."""
MAX_WHOLE = 4
"""How many times as large as the model's own sample one that is read whole may be; a larger one is read in windows."""
WINDOWS_AT_ONCE = 8
MOST_BYTE_CLASSES = 255
"""Numbers of so many classes fit into a byte, beside one for what is not judged."""
BAND_VALUES = 1 << 23
"""Probabilities that are held at a sample's own size at once: a photograph of many classes would fill the memory."""


def working_size(size: Sequence[int], img_size: Sequence[int]) -> tuple[int, ...]:
    """Return the size (*s) at which a sample (*S) is read: in its own proportions, just covering `img_size`.

    One that would be over `MAX_ASPECT` times as long as `img_size` along an axis stays below it along the others.
    """
    scale = max(own / length for own, length in zip(img_size, size, strict=True))
    scale = min(scale, *(MAX_ASPECT * own / length for own, length in zip(img_size, size, strict=True)))
    return tuple(max(1, round(length * scale)) for length in size)


def predict_classes(
    module: Segmenter,
    x: Tensor,
    img_size: Sequence[int],
    inference: Inference = "whole",
    stride: float = 2 / 3,
    mirror: int | None = None,
    valid: Tensor | None = None,
    out_size: Sequence[int] | None = None,
) -> Tensor:
    """Return the classes of normalised samples x (B, C, *S), at `out_size` or (B, *S): uint8, of over 255 int32.

    Samples are resized to `working_size`, pictures antialiased, and padded with zeros, the mean, to `img_size` at least
    and to what the patch divides. "whole" reads them at once, "slide" in windows of `img_size` that lie `stride` of a
    window apart. Where windows overlap, and over a sample and its image mirrored along the axis `mirror`, counted from
    the end, probabilities are averaged. They, not classes, are brought to the size that is returned. Where not all
    cells are `valid` (B, C, *S), what is padded is missing too.
    """
    size = tuple(x.shape[2:])
    working = working_size(size, img_size)
    x = resized(api.nets.zero_missing(x, valid), working)
    if valid is not None and working != size:
        valid = F.interpolate(valid.to(torch.uint8), working, mode="nearest-exact").bool()
    area = math.prod(max(length, own) for length, own in zip(working, img_size, strict=True))
    if inference == "whole" and area <= MAX_WHOLE * math.prod(img_size):
        probabilities = _read(module, x, valid, img_size, mirror)
    else:
        probabilities = _slide(module, x, valid, img_size, stride, mirror)
    return torch.stack([_most_likely(sample, tuple(out_size or size)) for sample in probabilities])


def _read(module: Segmenter, x: Tensor, valid: Tensor | None, img_size: Sequence[int], mirror: int | None) -> Tensor:
    """Return probabilities (B, Q, *s) float32 of samples, padded at the end of each axis."""
    size = x.shape[2:]
    # no smaller than the model's own sample, and a whole number of patches
    short = [
        max(own, length + -length % patch) - length
        for length, own, patch in zip(size, img_size, module.encoder.patch_size, strict=True)
    ]

    def read(samples: Tensor, valid: Tensor | None) -> Tensor:
        logits: Tensor = module(padded(samples, short), None if valid is None else padded(valid, short))
        return logits.float().softmax(1)[:, :, *map(slice, size)]

    if mirror is None:
        return read(x, valid)
    mirrored = read(x.flip(mirror), None if valid is None else valid.flip(mirror))
    return (read(x, valid) + mirrored.flip(mirror)) / 2


def _slide(
    module: Segmenter, x: Tensor, valid: Tensor | None, img_size: Sequence[int], stride: float, mirror: int | None
) -> Tensor:
    """Return probabilities (B, Q, *s) float32, averaged over the windows that see a cell."""
    B, size = len(x), x.shape[2:]
    starts = (_starts(length, own, stride) for length, own in zip(size, img_size, strict=True))
    places = [
        tuple(slice(start, min(start + own, length)) for start, own, length in zip(corner, img_size, size, strict=True))
        for corner in itertools.product(*starts)
    ]
    total, count = x.new_zeros(()), x.new_zeros(size)
    step = max(1, WINDOWS_AT_ONCE // B)
    for first in range(0, len(places), step):
        group = places[first : first + step]
        cells = None if valid is None else _windows(valid, group)
        probabilities = _read(module, _windows(x, group), cells, img_size, mirror)
        if total.ndim == 0:
            total = probabilities.new_zeros(B, probabilities.shape[1], *size)
        for place, part in zip(group, torch.split(probabilities, B), strict=True):
            total[:, :, *place] += part
            count[place] += 1
    return total / count


def _windows(x: Tensor, places: Sequence[tuple[slice, ...]]) -> Tensor:
    """Return the parts of x (B, C, *S) at some places, B of each, one after another."""
    return torch.cat([x[:, :, *place] for place in places])


def _starts(length: int, window: int, stride: float) -> list[int]:
    """Return where windows begin along an axis; the last one ends with the sample."""
    last = max(0, length - window)
    return [*range(0, last, max(1, round(stride * window))), last]


def _most_likely(probabilities: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the classes (*S) of probabilities (Q, *s), interpolated to `size` in bands of the first axis."""
    Q = len(probabilities)
    dtype = torch.uint8 if Q <= MOST_BYTE_CLASSES else torch.int32
    # along the axes in which the sample was enlarged
    probabilities = resized(
        probabilities[None], [min(pair) for pair in zip(size, probabilities.shape[1:], strict=True)]
    )[0]
    smaller = tuple(probabilities.shape[1:])
    if smaller == size:
        return probabilities.argmax(0).to(dtype)
    row = ((torch.arange(size[0], device=probabilities.device) + 0.5) * smaller[0] / size[0] - 0.5).clamp(
        0, smaller[0] - 1
    )
    above, share = row.long(), (row - row.floor()).reshape(-1, *[1] * (len(size) - 1))
    below = (above + 1).clamp(max=smaller[0] - 1)
    classes = torch.empty(size, dtype=dtype, device=probabilities.device)
    band = max(1, BAND_VALUES // (Q * math.prod(size[1:])))
    for rows in torch.split(torch.arange(size[0], device=probabilities.device), band):
        lines = torch.lerp(probabilities[:, above[rows]], probabilities[:, below[rows]], share[rows])  # (Q, rows, …)
        classes[rows] = (
            resized(_classes_last(lines[None]), (len(rows), *size[1:]), antialias=False)[0].argmax(0).to(dtype)
        )
    return classes


def _classes_last(lines: Tensor) -> Tensor:
    """Return lines (1, Q, …) with classes last in memory: interpolating and comparing them take a third of the time."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return lines.contiguous(memory_format=formats.get(lines.ndim, torch.contiguous_format))
