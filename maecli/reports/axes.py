"""The look of every chart: its axes, and how the series on them are told apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from maecli.reports.canvas import INK, QUIET, RULE, SERIES, SMALL, TEXT, WIDTH, new_figure, plain, pt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = ("-", "--", ":")


def new_axes(height: int) -> tuple[Figure, Axes]:
    """Return a figure as wide as a page's column, and its only axes."""
    figure = new_figure(WIDTH, height, layout="constrained")
    return figure, figure.add_subplot()


def series_style(number: int) -> tuple[str, str]:
    """Return the colour and the line style of a series; the style changes when all colours have been used."""
    return SERIES[number % len(SERIES)], _STYLES[number // len(SERIES) % len(_STYLES)]


def whole_ticks(axes: Axes) -> None:
    """Let the ticks of x, which counts epochs or steps, be whole numbers where at least two of them are in sight."""
    low, high = axes.get_xlim()
    if math.floor(high) > math.ceil(low):
        axes.locator_params("x", integer=True)


def finish_axes(axes: Axes, x_label: str, y_label: str | None, grid: Literal["x", "y", "both"] = "y") -> None:
    """Name the axes, and leave of their frame the bottom line and a quiet grid.

    With `y_label` None the y axis keeps its ticks as they are: the names of bars.
    """
    axes.set_xlabel(plain(x_label), size=pt(TEXT), color=INK, parse_math=False)
    if y_label is not None:
        axes.set_ylabel(plain(y_label), size=pt(TEXT), color=INK, parse_math=False)
    axis: Literal["x", "both"] = "x" if y_label is None else "both"
    axes.tick_params(axis=axis, labelsize=pt(SMALL), labelcolor=QUIET, color=RULE, length=3)
    axes.grid(axis=grid, color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
