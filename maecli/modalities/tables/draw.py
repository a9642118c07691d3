"""A row of a table as a strip of cells.

Shapes: F cells.
"""

from __future__ import annotations

import math

import numpy as np

from maecli.modalities.drawing import HIDDEN, hatched

WIDTH = 320
"""Pixels of a strip that is full."""
IN_A_LINE, LARGEST = 10, 48
"""Cells of one line at most, up to a hundred cells, and pixels of a cell."""
SCALE = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float32) / 255
"""RGB from 0 to 1 in even steps: viridis, whose lightness grows evenly and which colour-blind eyes can read."""


def draw_row(image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
    """Return a drawing (3, h, w) of a row's cells (1, F), in lines of ten or more, from violet (0) to yellow (1).

    A missing cell is hatched; of a hidden one (F,) only the middle is seen.
    """
    values = np.asarray(image[0], np.float32)
    per_line = min(len(values), max(IN_A_LINE, math.ceil(math.sqrt(len(values)))))
    side = max(3, min(LARGEST, WIDTH // per_line))
    lines = math.ceil(len(values) / per_line)
    canvas = np.ones((3, lines * side + 1, per_line * side + 1), np.float32)
    for number, value in enumerate(values.tolist()):
        line, column = divmod(number, per_line)
        cell = canvas[:, line * side : (line + 1) * side + 1, column * side : (column + 1) * side + 1]
        cell[:] = 0.55  # its frame, which the next one shares
        cell[:, 1:-1, 1:-1] = _cell(value, bool(hidden[number]) if hidden is not None else False, side - 1)
    return canvas


def one_line(image: np.ndarray) -> np.ndarray:
    """Return a row (C, F) as one channel (1, F): its numbers, and of categories the place of the likeliest one."""
    if len(image) == 1:
        return image
    row, shares = image[:1].astype(np.float32, copy=True), image[1:]
    num = (~np.isnan(shares)).sum(0)
    named = num > 0
    place = np.where(np.isnan(shares), -np.inf, shares).argmax(0)
    row[0, named] = (place / np.maximum(num - 1, 1))[named]
    return row


def _cell(value: float, hidden: bool, side: int) -> np.ndarray:
    """Return the inside of a cell (3, side, side)."""
    colours = np.ones((3, side, side), np.float32)
    if math.isnan(value):
        colours = hatched(colours, np.ones((side, side), bool))
    else:
        place = min(max(value, 0.0), 1.0) * (len(SCALE) - 1)
        colours[:] = np.array([np.interp(place, range(len(SCALE)), SCALE[:, k]) for k in range(3)])[:, None, None]
    if hidden:
        edge = max(1, side // 3)
        cover = np.ones((side, side), bool)
        cover[edge : side - edge, edge : side - edge] = False
        colours[:, cover] = np.array(HIDDEN, np.float32)[:, None] / 255
    return colours
