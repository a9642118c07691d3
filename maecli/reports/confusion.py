"""Confusion matrices as PNG bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maecli.reports.canvas import (
    HEAT,
    INK,
    QUIET,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    chart,
    fitted,
    font,
    new_figure,
    pt,
)
from maecli.text import some

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COUNTS, _NUMBERS, _NAMES = 12, 25, 45
"""Classes up to which cells have their counts, have their shares in percent, and up to which all names stand there."""
_NARROW = 10
"""Classes up to which a narrow column has room for them."""
_MAX_CELLS = 200
_LARGEST = 190
"""Side of a cell, in PNG pixels."""
_ROOMY = 90
"""PNG pixels of width for each class from which letters are large."""
_DARK = 0.65
"""Share above which a number is written in the colour of the paper."""
_SAID = 10


@chart
def confusion_matrix(width: int, matrix: NDArray[np.integer[Any]], classes: Sequence[str]) -> tuple[Figure, str]:
    """Return a PNG of a confusion matrix of counts, shape (true classes, predicted classes).

    Colour is the share of each true class (row). Up to 12 classes have their counts in the cells, up to 25 their shares
    in percent; more have a colour scale that brings out small shares, and above 45 fewer class names on the axes. Above
    200 classes, each cell is the largest share in a block, so that no error and no hit falls between two pixels.
    """
    n = len(classes)
    if n == 0 or matrix.shape != (n, n):
        raise ValueError(f"a confusion matrix of {n} classes must have shape ({n}, {n}), not {matrix.shape}")
    width = width if n <= _NARROW else WIDTH
    numbered = n <= _NUMBERS
    ticks = range(0, n, _tick_step(n))
    size = TEXT if width / n > _ROOMY else SMALL
    names = [fitted(classes[i], size, round(0.28 * width)) for i in ticks]
    longest = round(max(map(font(size).getlength, names)))
    left, line = longest + 3 * size, round(1.6 * size)
    cell = min(_LARGEST, (width - left - 8) / n)
    upright = longest > 0.9 * cell * len(range(n)) / len(ticks)
    below = (longest if upright else line) + round(1.6 * line) + (0 if numbered else 4 * line)
    side = cell * n
    figure = new_figure(round(left + side + 8), round(below + side + 8))
    total_width, total_height = left + side + 8, below + side + 8
    axes = figure.add_axes((left / total_width, below / total_height, side / total_width, side / total_height))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    if numbered:
        _draw_cells(axes, shares)
        _write_numbers(axes, matrix if n <= _COUNTS else np.rint(100 * shares).astype(int), shares, size)
    else:
        _draw_image(figure, axes, shares, 1.2 * line / total_height)
    axes.set_xticks(ticks, names, rotation=90 if upright else 0, size=pt(size), parse_math=False)
    axes.set_yticks(ticks, names, size=pt(size), parse_math=False)
    axes.tick_params(length=0 if numbered else 3, color=QUIET, labelcolor=INK)
    how = "" if n <= _COUNTS or not numbered else ", numbers are percent of the true class"
    axes.set_xlabel(f"predicted{how}", size=pt(TEXT), color=QUIET)
    axes.set_ylabel("true", size=pt(TEXT), color=QUIET)
    axes.spines[:].set_color(RULE)
    right = [f"{matrix[i, i]:,} of {matrix[i].sum():,} {name}" for i, name in enumerate(classes) if matrix[i].any()]
    return figure, f"confusion matrix of {n} classes, right are {some(right, _SAID)}"


def _draw_cells(axes: Axes, shares: NDArray[np.float64]) -> None:
    """Fill the cells that are not empty, the stronger the larger their share."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    filled = [*zip(*np.nonzero(shares), strict=True)]
    cells = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in filled]
    colours = [to_rgba(HEAT, shares[place]) for place in filled]
    axes.add_collection(PatchCollection(cells, facecolors=colours, linewidths=0))


def _write_numbers(axes: Axes, numbers: NDArray[Any], shares: NDArray[np.float64], size: int) -> None:
    for row, column in np.ndindex(*shares.shape):
        number = int(numbers[row, column])
        colour = "#ffffff" if shares[row, column] > _DARK else (INK if number else QUIET)
        if number or len(shares) <= _COUNTS:
            axes.text(column, row, _compact(number), size=pt(size), color=colour, ha="center", va="center_baseline")


def _draw_image(figure: Figure, axes: Axes, shares: NDArray[np.float64], height: float) -> None:
    """Draw many cells as an image, over a scale of its colours that is `height` of the figure."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_rgba
    from matplotlib.ticker import PercentFormatter

    n = len(shares)
    block = -(-n // _MAX_CELLS)
    image = axes.imshow(
        _pooled(shares, block),
        extent=(-0.5, n - 0.5, n - 0.5, -0.5),
        cmap=LinearSegmentedColormap.from_list("clear to blue", [to_rgba(_MIDDLE, 0), to_rgba(_MIDDLE, 1)]),
        norm=PowerNorm(0.5, vmin=0, vmax=1),
    )
    place = axes.get_position()
    scale = figure.add_axes((place.x0, 2.4 * height, place.width, 0.5 * height))
    bar = figure.colorbar(image, cax=scale, orientation="horizontal", ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    scale.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    scale.tick_params(labelsize=pt(SMALL), labelcolor=QUIET, color=QUIET, length=3)
    tiles = f", largest of {block} × {block} cells" if block > 1 else ""
    bar.set_label(f"share of the true class{tiles}", size=pt(SMALL), color=QUIET)
    bar.outline.set_visible(False)


_MIDDLE = "#1f78c1"
"""For images, whose colours no page can change: seen on white and on black."""


def _tick_step(n: int) -> int:
    """Return the smallest step of 1, 2, 5, 10, 20, 50 … that leaves at most 45 ticks."""
    steps: Iterator[int] = (digit * 10**power for power in range(9) for digit in (1, 2, 5))
    return next(step for step in steps if n <= step * _NAMES)


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
