"""A series as lines over time.

Shapes: C channels, T steps.
"""

from __future__ import annotations

import numpy as np

from maecli.modalities.drawing import HIDDEN, hatched
from maecli.modalities.series.runs import runs

WIDTH, HEIGHT = 320, 180
"""Pixels of a drawing."""
FINE = 3
"""Times that it is drawn larger, so that lines are smooth."""
MARGIN = 6
MOST_LINES = 8
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#4d4d4d")
"""Those of Okabe and Ito, safe for colour-blind eyes, and two more."""
GRID, FRAME = "#e3e6ea", "#b4bac1"


def draw_series(image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
    """Return a drawing (3, HEIGHT, WIDTH) of the first eight channels of a series (C, T) between 0 and 1.

    Values outside are drawn at the border. Hidden steps (T,) are shaded; where a value is missing a line has a gap,
    and the step is hatched if none of the channels is there.
    """
    from PIL import Image, ImageDraw

    shown = np.asarray(image[:MOST_LINES], np.float32)
    sheet = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), "white")
    pen = ImageDraw.Draw(sheet)
    left, right, top, bottom = (FINE * side for side in (MARGIN, WIDTH - MARGIN, MARGIN, HEIGHT - MARGIN))
    steps = shown.shape[1]
    edges = np.linspace(left, right, steps + 1)  # each step has a column, its point stands in the middle
    shaded = hidden if hidden is not None else np.zeros(steps, bool)
    for first, end in runs(shaded):
        pen.rectangle((edges[first], top, edges[end], bottom), fill=HIDDEN)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom + share * (top - bottom)
        pen.line((left, y, right, y), fill=GRID, width=FINE // 2)
    x = (edges[:-1] + edges[1:]) / 2
    for values, colour in zip(shown[::-1], COLOURS[: len(shown)][::-1], strict=True):  # the first lies on top
        y = bottom + np.clip(values, 0, 1) * (top - bottom)
        for first, end in runs(~np.isnan(values)):
            points = np.stack([x[first:end], y[first:end]], 1).ravel().tolist()
            if end - first == 1:
                pen.circle(points, 1.5 * FINE, fill=colour)
            else:
                pen.line(points, fill=colour, width=round(1.5 * FINE), joint="curve")
    pen.rectangle((left, top, right, bottom), outline=FRAME, width=FINE)
    small = sheet.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    rgb = (np.asarray(small, np.float32) / 255).transpose(2, 0, 1)
    missing = np.zeros((HEIGHT, WIDTH), bool)
    for first, end in runs(np.isnan(shown).min(axis=0) & ~shaded):
        missing[MARGIN + 1 : HEIGHT - MARGIN, round(edges[first] / FINE) + 1 : round(edges[end] / FINE)] = True
    return hatched(rgb, missing)
