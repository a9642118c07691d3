"""From probabilities, which may come a band of rows at a time, to the most likely class at another size.

Shapes: B batch, Q classes, s spatial axes of the probabilities, S of the classes; rows are along the first axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from .heads import resized

MOST_BYTE_CLASSES = 255
"""Numbers of so many classes fit into a byte, beside one for what is not judged."""
BAND_VALUES = 1 << 23
"""Probabilities that are held at the size of the classes at once: a photograph of many would fill the memory."""


def most_likely(bands: Iterable[Tensor], given: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
    """Return the classes (B, *S) of probabilities (B, Q, *s) `given` in bands of rows: uint8, of over 255 int32.

    Probabilities are interpolated linearly to `size`, of pictures antialiased along the axes that become shorter. A
    band is forgotten once it was read.
    """
    shorter = tuple(min(pair) for pair in zip(given, size, strict=True))
    if len(size) == 2 and shorter != given:
        bands, given = [resized(torch.cat(list(bands), dim=2), shorter)], shorter
    classes, top = torch.empty(0), 0
    for lines in _interpolated(bands, given, size):
        if not top:
            dtype = torch.uint8 if lines.shape[1] <= MOST_BYTE_CLASSES else torch.int32
            classes = torch.empty(len(lines), *size, dtype=dtype, device=lines.device)
        bottom = top + lines.shape[2]
        classes[:, top:bottom] = lines.argmax(1)
        top = bottom
    return classes


def _interpolated(bands: Iterable[Tensor], given: tuple[int, ...], size: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield probabilities (B, Q, rows, *S[1:]) in bands, each as soon as both rows that it lies between are there."""
    if given == size:
        yield from bands
        return
    row = ((torch.arange(size[0]) + 0.5) * given[0] / size[0] - 0.5).clamp(0, given[0] - 1)
    above, share = row.long(), (row - row.floor()).reshape(-1, *[1] * (len(size) - 1))
    below = (above + 1).clamp(max=given[0] - 1)
    last: Tensor | None = None
    top = done = 0
    for band in bands:
        held = band if last is None else torch.cat([last, band], dim=2)
        bottom, device = top + held.shape[2], held.device
        ready = int((below < bottom).sum())
        most = max(1, BAND_VALUES // (math.prod(held.shape[:2]) * math.prod(size[1:])))
        for first in range(done, ready, most):
            rows = slice(first, min(first + most, ready))
            one, other = (held[:, :, (each[rows] - top).to(device)] for each in (above, below))
            lines = torch.lerp(one, other, share[rows].to(device))
            yield resized(_classes_last(lines), (lines.shape[2], *size[1:]), antialias=False)
        done = ready
        last, top = held[:, :, -1:], bottom - 1


def _classes_last(lines: Tensor) -> Tensor:
    """Return lines (B, Q, …) with classes last in memory: interpolating and comparing them take a third of the time."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return lines.contiguous(memory_format=formats.get(lines.ndim, torch.contiguous_format))
