"""Charts of what a data set holds: bars per class, histograms, sizes. PNG bytes, drawn like the other figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maecli.reports.axes import finish_axes, new_axes
from maecli.reports.canvas import (
    INK,
    QUIET,
    RULE,
    SERIES,
    SMALL,
    TEXT,
    WIDTH,
    draw_legend,
    new_figure,
    plain,
    pt,
    shortened,
    to_png,
)
from maecli.reports.numbers import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from maecli.eda.findings import Histogram

MAX_BARS = 40
_LINE = 38  # PNG pixels per bar

Scale = Literal["linear", "log", "log2"]


def class_panels(
    classes: Sequence[str],
    panels: Mapping[str, Sequence[float]],
    colours: Sequence[tuple[int, int, int]] | None = None,
    shares: frozenset[str] = frozenset(),
) -> bytes:
    """Return a PNG of one bar per class in each of several panels, such as images, objects and pixels.

    The panels named in `shares` are drawn in percent. Of more than 40 classes, the first panel's most frequent 40
    are shown.
    """
    if not classes or not panels:
        raise ValueError("a chart of classes needs at least one class and one panel")
    first = next(iter(panels.values()))
    chosen = sorted(sorted(range(len(classes)), key=lambda i: -first[i])[:MAX_BARS])
    figure = new_figure(WIDTH, 110 + _LINE * len(chosen), layout="constrained")
    fills = [SERIES[0] if colours is None else tuple(level / 255 for level in colours[i]) for i in chosen]
    names = [shortened(classes[i], 18) for i in chosen]
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, values) in zip(every, panels.items(), strict=True):
        lengths = [values[i] for i in chosen]
        texts = [_percent(length) if title in shares else f"{length:,.0f}" for length in lengths]
        top = max(*lengths, 1e-12)
        _bars(axes, names, lengths, fills)
        _beside(axes, lengths, texts, SMALL - 2, gap=0.03 * top)
        axes.set_title(plain(title), size=pt(TEXT), color=INK, loc="left", parse_math=False)
        axes.set_xlim(0, 1.45 * top)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.spines["left"].set_color(RULE)
    return to_png(figure, palette=True)


def class_bars(
    shares: Mapping[str, float], x_label: str, marks: Mapping[str, float] | None = None, mark_label: str = ""
) -> bytes:
    """Return a PNG of one bar per class, from the largest share to the smallest, each with its number.

    `marks` are the shares of a trivial predictor, drawn as a stroke across the bars of these classes.
    """
    if not shares:
        raise ValueError("a bar chart needs at least one class")
    marks = marks or {}
    names = sorted(shares, key=lambda name: -shares[name])
    values = [shares[name] for name in names]
    figure, axes = new_axes(160 + _LINE * len(names))
    _bars(axes, [shortened(name, 24) for name in names], values, [SERIES[0]] * len(names))
    marked = [(place, marks[name]) for place, name in enumerate(names) if name in marks]
    if marked:
        low, high = [place - 0.42 for place, _ in marked], [place + 0.42 for place, _ in marked]
        axes.vlines([value for _, value in marked], low, high, color=SERIES[1], lw=2, label=plain(mark_label))
    ends = [max(value, marks.get(name, 0.0)) for name, value in zip(names, values, strict=True)]
    _beside(axes, ends, [format_value(value, "share") for value in values], SMALL, gap=0.01)
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"], size=pt(SMALL))
    finish_axes(axes, x_label, None, grid="x")
    if marked:
        draw_legend(figure)
    return to_png(figure, palette=True)


def histogram(found: Histogram, x_label: str, scale: Scale = "linear", share: bool = False) -> bytes:
    """Return a PNG of a histogram per split, as shares of the split, with medians in the legend.

    With `share` the x axis is in percent.
    """
    figure, axes = new_axes(520)
    edges = np.array(found.edges)
    for number, (name, counts) in enumerate(found.counts.items()):
        heights = np.array(counts) / max(1, sum(counts))
        median = found.medians[name]
        label = f"{plain(name)}, median {_percent(median) if share else f'{median:.3g}'}"
        color = SERIES[number % len(SERIES)]
        axes.stairs(heights, edges, color=color, lw=1.8, fill=False, label=label, zorder=3)
        axes.stairs(heights, edges, color=color, fill=True, alpha=0.14)
    _scale_x(axes, scale, share, edges)
    _finish(figure, axes, x_label, "share of the split", percent_y=True)
    return to_png(figure, palette=True)


def sizes(common: Mapping[str, Sequence[tuple[tuple[int, ...], int]]]) -> bytes:
    """Return a PNG of pictures' sizes (H, W): a disc per size, its area the number of pictures that have it."""
    figure, axes = new_axes(640)
    most = max(num for counted in common.values() for _, num in counted)
    for number, (name, counted) in enumerate(common.items()):
        widths, heights = [size[1] for size, _ in counted], [size[0] for size, _ in counted]
        areas = [14 + 500 * num / most for _, num in counted]
        axes.scatter(
            widths, heights, areas, color=SERIES[number % len(SERIES)], alpha=0.45, lw=0, label=plain(name), zorder=3
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    _finish(figure, axes, "width in pixels", "height in pixels")
    return to_png(figure, palette=True)


def _bars(axes: Axes, names: Sequence[str], lengths: Sequence[float], colours: Sequence[Any]) -> None:
    """Draw a bar per class, the first one on top, with its name at the left."""
    places = range(len(names))
    axes.barh(places, lengths, height=0.64, color=colours)
    axes.set_yticks(places, names, size=pt(SMALL), parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", labelcolor=INK, length=0)


def _beside(axes: Axes, ends: Sequence[float], texts: Sequence[str], size: int, gap: float) -> None:
    """Write each bar's number beyond its end; one that is nothing is quiet."""
    for place, (end, text) in enumerate(zip(ends, texts, strict=True)):
        colour = INK if end else QUIET
        axes.text(end + gap, place, text, size=pt(size), color=colour, va="center_baseline")


def _scale_x(axes: Axes, scale: Scale, share: bool, edges: np.ndarray) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    def write(x: float, _: object) -> str:
        return f"{100 * x:.4g}%" if share else f"{x:.4g}"

    if scale == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=not share))
    else:
        axes.set_xscale("log", base=10 if scale == "log" else 2)
        step = 10.0 if scale == "log" else 2.0
        low, high = np.log(edges[0]) / np.log(step), np.log(edges[-1]) / np.log(step)
        axes.xaxis.set_major_locator(FixedLocator(list(step ** np.arange(round(low), round(high) + 1))))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(write))
    axes.set_xlim(edges[0], edges[-1])


def _finish(figure: Figure, axes: Axes, x_label: str, y_label: str, percent_y: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(6))
    if percent_y:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.4g}%"))
        axes.set_ylim(bottom=0)
    finish_axes(axes, x_label, y_label, grid="both")
    legend = draw_legend(figure, columns=3, handle_length=1.2)
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([60])


def _percent(share: float) -> str:
    """Return a share as a percentage of two digits, or more where it is nearly 100%."""
    if share == 0:
        return "0%"
    return f"{100 * share:.3g}%" if share < 0.1 else f"{share:.1%}"
