"""From samples of any size to a class per cell: resized to what a model knows, read whole or in windows.

Shapes: B batch, C channels, S spatial axes of the sample, s of the resized one, Q classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from maecli import api

from .heads import Segmenter, padded, resized
from .likely import BAND_VALUES, most_likely
from .windows import Windows, WindowWeights

Inference = Literal["whole", "slide"]

MAX_ASPECT = 8
"""How many times as long as the model's own a resized side may be; a longer sample is made smaller than it."""
MAX_WHOLE = 4
"""How many times as large as the model's own sample one that is read whole may be; a larger one is read in windows."""
WINDOWS_AT_ONCE = 8
CELLS_AT_ONCE = 1 << 21
"""Cells of windows that are read at once: what a head holds of a volume's is many times as much."""


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
    resize: bool = True,
    weights: WindowWeights = "even",
) -> Tensor:
    """Return the classes of normalised samples x (B, C, *S), at `out_size` or (B, *S): uint8, of over 255 int32.

    Samples are resized to `working_size`, pictures antialiased, unless training sees parts of them as they are and
    `resize` is off; and padded with zeros, the mean, to `img_size` at least and to what the patch divides. "whole"
    reads them at once, "slide" in windows of `img_size` that lie `stride` of a window apart. Where windows overlap,
    by `weights`, and over a sample and its image mirrored along the axis `mirror`, counted from the end, probabilities
    are averaged. They, not classes, are brought to the size that is returned. Where not all cells are `valid`
    (B, C, *S), what is padded is missing too.
    """
    size = tuple(x.shape[2:])
    working = working_size(size, img_size) if resize else size
    if working != size:
        x = resized(api.nets.zero_missing(x, valid), working)
    if valid is not None and working != size:
        valid = F.interpolate(valid.to(torch.uint8), working, mode="nearest-exact").bool()
    area = math.prod(max(length, own) for length, own in zip(working, img_size, strict=True))
    bands: Iterable[Tensor]
    if inference == "whole" and area <= MAX_WHOLE * math.prod(img_size):
        bands = [_read(module, x, valid, img_size, mirror)]
    else:
        bands = _slide(module, x, valid, Windows(working, img_size, stride, weights), img_size, mirror)
    return most_likely(bands, working, tuple(out_size or size))


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
    module: Segmenter, x: Tensor, valid: Tensor | None, windows: Windows, img_size: Sequence[int], mirror: int | None
) -> Iterator[Tensor]:
    """Yield probabilities (B, Q, rows, …) float32, weighted means of the windows that see a cell.

    They come in bands of rows, along the first axis, as soon as no later window sees these: what is held is no higher
    than a window.
    """
    total, top = x.new_zeros(()), 0
    for place, part in _read_windows(module, x, valid, windows.places(), img_size, mirror):
        if total.ndim == 0:
            total = part.new_zeros(*part.shape[:2], windows.lengths[0], *windows.size[1:])
        if rows := place[0].start - top:
            yield from _means(total[:, :, :rows], top, windows)
            _move_up(total, rows)
            top += rows
        total[:, :, :, *place[1:]] += part * windows.weight.to(part.device)
    yield from _means(total, top, windows)


def _read_windows(
    module: Segmenter,
    x: Tensor,
    valid: Tensor | None,
    places: Sequence[tuple[slice, ...]],
    img_size: Sequence[int],
    mirror: int | None,
) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Yield each place with the probabilities (B, Q, …) of what lies there."""
    B = len(x)
    step = max(1, min(WINDOWS_AT_ONCE, CELLS_AT_ONCE // math.prod(img_size)) // B)
    for first in range(0, len(places), step):
        group = places[first : first + step]
        cells = None if valid is None else _parts(valid, group)
        yield from zip(group, torch.split(_read(module, _parts(x, group), cells, img_size, mirror), B), strict=True)


def _parts(x: Tensor, places: Sequence[tuple[slice, ...]]) -> Tensor:
    """Return the parts of x (B, C, *S) at some places, B of each, one after another."""
    return torch.cat([x[:, :, *place] for place in places])


def _means(total: Tensor, top: int, windows: Windows) -> Iterator[Tensor]:
    """Yield what sums (B, Q, rows, …) of a sample's rows from `top` on are on average, a band at a time."""
    band = max(1, BAND_VALUES // total[:, :, 0].numel())
    for sums in torch.split(total, band, dim=2):
        bottom = top + sums.shape[2]
        yield sums / windows.total(slice(top, bottom)).to(sums.device)
        top = bottom


def _move_up(total: Tensor, rows: int) -> None:
    """Drop the first rows of sums (B, Q, rows, …), and begin as many at the end, without a second copy of them."""
    kept = total.shape[2] - rows
    for first in range(0, kept, rows):
        last = min(first + rows, kept)
        total[:, :, first:last] = total[:, :, first + rows : last + rows]  # these do not overlap
    total[:, :, kept:] = 0
