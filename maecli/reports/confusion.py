"""Confusion matrices as PNG bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.reports.canvas import INK, QUIET, RULE, SMALL, TEXT, WIDTH, fitted, font, new_figure, pt, to_png

_COUNTED_CLASSES = 20
_MAX_CELLS = 200
_NAME = 220  # PNG pixels


def confusion_matrix(matrix: NDArray[np.integer[Any]], classes: Sequence[str]) -> bytes:
    """Return a PNG of a confusion matrix of counts, shape (true classes, predicted classes).

    Colour is the share of each true class (row). Up to 20 classes have their counts in the cells; more have
    fewer class names on the axes, and a colour scale that brings out small shares. Above 200 classes, each cell
    is the largest share in a block, so that no error and no hit falls between two pixels.
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm
    from matplotlib.ticker import PercentFormatter

    n = len(classes)
    if n == 0 or matrix.shape != (n, n):
        raise ValueError(f"a confusion matrix of {n} classes must have shape ({n}, {n}), not {matrix.shape}")
    counted = n <= _COUNTED_CLASSES
    side = WIDTH if n <= 12 or not counted else 1440
    figure = new_figure(side, side + (0 if counted else 60), layout="constrained")
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    colours = LinearSegmentedColormap.from_list("paper to blue", ["#ffffff", "#9cc3e0", "#0b4f86"])
    block = -(-n // _MAX_CELLS)
    image = axes.imshow(
        _pooled(shares, block),
        extent=(-0.5, n - 0.5, n - 0.5, -0.5),
        cmap=colours,
        norm=PowerNorm(1.0 if counted else 0.5, vmin=0, vmax=1),
    )

    ticks = range(0, n, _tick_step(n))
    size = TEXT if n <= 12 else SMALL
    names = [fitted(classes[i], size, _NAME) for i in ticks]
    too_wide = max(map(font(size).getlength, names)) > 0.75 * side / len(ticks)
    axes.set_xticks(ticks, names, rotation=90 if too_wide else 0, size=pt(size), parse_math=False)
    axes.set_yticks(ticks, names, size=pt(size), parse_math=False)
    axes.tick_params(length=0 if counted else 3, color=QUIET, labelcolor=INK)
    axes.set_xlabel("predicted", size=pt(TEXT), color=QUIET)
    axes.set_ylabel("true", size=pt(TEXT), color=QUIET)
    axes.spines[:].set_color(RULE)
    if counted:
        for row, column in np.ndindex(n, n):
            count = int(matrix[row, column])
            dark = shares[row, column] > 0.5
            colour = "white" if dark else (INK if count else "#8b949e")
            axes.text(column, row, _compact(count), size=pt(size), color=colour, ha="center", va="center_baseline")
    else:
        bar = figure.colorbar(
            image,
            ax=axes,
            orientation="horizontal",
            ticks=[0, 0.01, 0.1, 0.25, 0.5, 1],
            fraction=0.03,
            pad=0.02,
            aspect=40,
        )
        bar.ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        bar.ax.tick_params(labelsize=pt(SMALL), labelcolor=QUIET, color=QUIET, length=3)
        tiles = f", largest of {block} × {block} cells" if block > 1 else ""
        bar.set_label(f"share of the true class{tiles}", size=pt(SMALL), color=QUIET)
        bar.outline.set_visible(False)
    return to_png(figure)


def _tick_step(n: int) -> int:
    """Return the smallest step of 1, 2, 5, 10, 20, 50 … that leaves at most 20 ticks."""
    steps: Iterator[int] = (digit * 10**power for power in range(9) for digit in (1, 2, 5))
    return next(step for step in steps if n <= step * _COUNTED_CLASSES)


def _pooled(shares: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Return the largest share of each (block, block) tile; the last row and column of tiles may be smaller."""
    starts = np.arange(0, len(shares), block)
    pooled = np.maximum.reduceat(np.maximum.reduceat(shares, starts, axis=0), starts, axis=1)
    return np.asarray(pooled, dtype=np.float64)


def _compact(count: int) -> str:
    """Return a count in at most four characters where possible: 999, 1.2k, 57k, 3.4M."""
    for size, suffix in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{suffix}" if count < 9.95 * size else f"{count / size:.0f}{suffix}"
    return str(count)
