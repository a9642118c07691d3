"""Charts as PNG bytes: curves, marks with error bars, bars per class, histograms and sizes.

Those under `@chart` draw a figure of a width in PNG pixels, and say what it shows; who calls them gets the PNG.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from maecli.reports.canvas import (
    INK,
    QUIET,
    RULE,
    SERIES,
    SMALL,
    TEXT,
    WIDTH,
    chart,
    draw_legend,
    end_at_whole,
    finish_axes,
    fitted,
    in_unit,
    new_axes,
    new_figure,
    plain,
    pt,
    series_style,
    tick_to_whole,
    whole_ticks,
    wrapped,
)
from maecli.reports.numbers import format_value
from maecli.text import some

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from maecli.eda.findings import Histogram
    from maecli.results import Metric

MAX_BARS = 40
MAX_POINTS = 1500
_BAR = 44  # PNG pixels
_SAID = 12
"""Bars or curves that the words about a chart name."""
_DASHES = ((6.0, 3.0), (2.0, 2.0), (8.0, 2.0, 2.0, 2.0))
_MARKERS = "osD^vP"
_LOG_FROM = 8
"""Ratio of the largest to the smallest x from which the axis of marks is logarithmic."""
_FAR = 2.0
"""A baseline further away than this many times the range of the marks is named in the legend, not drawn."""

Scale = Literal["linear", "log", "log2"]


@dataclass(frozen=True)
class Mark:
    """A mean and the ends of what it may be off by; the same number thrice where that is not known."""

    value: float
    low: float
    high: float


@chart
def curves(
    width: int,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    *,
    log_y: bool | None = False,
    baselines: Mapping[str, float] | None = None,
    unit: str = "",
    ends: Mapping[str, tuple[float, float]] | None = None,
    end_label: str = "",
    borders: Mapping[str, float] | None = None,
) -> tuple[Figure, str]:
    """Return a PNG of one line per series of (x, y) points, and a dashed line per baseline.

    Points that are not finite leave a gap, as do those <= 0 on a logarithmic axis; `log_y` None makes it one where the
    values are positive and span a factor of ten. With unit "share" the y axis is in percent. `ends` are single points
    of these series, drawn as diamonds. `borders` are places on x where something begins, which are drawn and named.
    """
    values = np.array([y for points in series.values() for _, y in points if math.isfinite(y)])
    if log_y is None:
        log_y = bool(values.size) and values.min() > 0 and values.max() > 10 * values.min()
    lines = {
        name: value for name, value in (baselines or {}).items() if math.isfinite(value) and not (log_y and value <= 0)
    }
    figure, axes = new_axes(width, _height(width, len(series) + len(lines) + bool(ends)))
    drawn = {name: _drawable(points, log_y) for name, points in series.items()}
    for number, (name, points) in enumerate(drawn.items()):
        marker = "o" if np.isfinite(points[:, 1]).sum() <= 12 else ""
        colour, style = series_style(number)
        axes.plot(points[:, 0], points[:, 1], style, color=colour, lw=1.6, marker=marker, ms=3.5, label=plain(name))
        if ends and name in ends:
            x, y = ends[name]
            axes.plot([x], [y], "D", color=colour, ms=7, mec="white", mew=1, zorder=5)
    if ends:
        axes.plot([], [], "D", color=QUIET, ms=7, label=plain(end_label))
    for name, x in (borders or {}).items():
        _border(axes, name, x)
    for number, (name, value) in enumerate(lines.items()):
        _level(axes, name, value, values, unit, _DASHES[number % len(_DASHES)])
    _scale(axes, np.concatenate([np.zeros((0, 2)), *drawn.values()]), log_y, unit)
    finish_axes(axes, x_label, y_label)
    draw_legend(figure, columns=2)
    said = [
        f"{name} from {format_value(points[0][1], unit)} to {format_value(points[-1][1], unit)}"
        for name, points in series.items()
        if points
    ]
    said += [f"{name.replace('_', ' ')} {format_value(value, unit)}" for name, value in lines.items()]
    return figure, f"{y_label} by {x_label}: {some(said, _SAID)}"


@chart
def points_chart(
    width: int,
    series: Mapping[str, Mapping[float, Mark]],
    x_label: str,
    y_label: str,
    unit: str = "",
    levels: Mapping[str, Mark] | None = None,
    baseline: tuple[str, Mapping[float, float]] | None = None,
) -> tuple[Figure, str]:
    """Return a PNG of one line per series of marks by x, each with its error bar, ticks at the values of x.

    `levels` do not depend on x and are drawn across. `baseline` is a trivial predictor, its name and its value by x.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    levels = levels or {}
    figure, axes = new_axes(width, _height(width, len(series) + len(levels) + 1))
    for number, (name, marks) in enumerate(series.items()):
        xs = sorted(marks)
        colour, style = series_style(number)
        axes.errorbar(
            xs,
            [marks[x].value for x in xs],
            yerr=_errors([marks[x] for x in xs]),
            color=colour,
            ls=style,
            marker=_MARKERS[number % len(_MARKERS)],
            ms=5,
            lw=1.6,
            capsize=4,
            elinewidth=1.2,
            label=plain(name),
        )
    for number, (name, level) in enumerate(levels.items(), len(series)):
        colour = SERIES[number % len(SERIES)]
        axes.axhline(level.value, color=colour, lw=1.6, ls="-.", label=plain(name))
        axes.axhspan(level.low, level.high, color=colour, alpha=0.12, lw=0)
    if baseline is not None:
        marks_drawn = [*levels.values(), *(mark for marks in series.values() for mark in marks.values())]
        _baseline(axes, *baseline, [end for mark in marks_drawn for end in (mark.low, mark.high)], unit)
    ticks = sorted({x for marks in series.values() for x in marks})
    if ticks and min(ticks) > 0 and max(ticks) >= _LOG_FROM * min(ticks):
        axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(in_unit(unit))
    if unit == "share":
        end_at_whole(axes)
    finish_axes(axes, x_label, y_label)
    draw_legend(figure, columns=3)
    said = [
        f"{name} {', '.join(f'{format_value(marks[x].value, unit)} at {x:g}' for x in sorted(marks))}"
        for name, marks in series.items()
    ]
    return figure, f"{y_label} by {x_label}: {some(said, _SAID)}"


@chart
def bars_chart(
    width: int,
    bars: Mapping[str, Mark],
    x_label: str,
    unit: str = "",
    baselines: Mapping[str, float] | None = None,
    baseline: str = "",
    top: float | None = None,
) -> tuple[Figure, str]:
    """Return a PNG of one bar per name, from zero, each with its number and, where it is known, its error bar.

    `baselines` are what the trivial predictor `baseline` gets, drawn as a stroke across the bars of these names. `top`
    is the end of the x axis, if it is known.
    """
    if not bars:
        raise ValueError("a bar chart needs at least one bar")
    figure, axes = new_axes(width, 190 + _BAR * len(bars))
    names, marks = list(bars), list(bars.values())
    values = [mark.value for mark in marks]
    _bars(axes, [fitted(name, SMALL, round(0.4 * width)) for name in names], values, [SERIES[0]] * len(names))
    if any(mark.low < mark.high for mark in marks):
        axes.errorbar(values, range(len(names)), xerr=_errors(marks), fmt="none", ecolor=INK, elinewidth=1.4)
    strokes = {place: baselines[name] for place, name in enumerate(names) if baselines and name in baselines}
    if strokes:
        ends = [place - 0.42 for place in strokes], [place + 0.42 for place in strokes]
        axes.vlines([*strokes.values()], *ends, color=SERIES[1], lw=2, label=plain(baseline))
    highest = [max(mark.high, strokes.get(place, mark.high)) for place, mark in enumerate(marks)]
    top = top or 1.1 * max(*highest, 1e-12)
    _beside(axes, highest, [format_value(value, unit) for value in values], SMALL, gap=0.015 * top)
    axes.set_xlim(min(0.0, *(mark.low for mark in marks)), 1.12 * top)
    if unit == "share":
        tick_to_whole(axes)
    axes.xaxis.set_major_formatter(in_unit(unit))
    finish_axes(axes, x_label, None, grid="x")
    draw_legend(figure)
    said = some([f"{name} {format_value(mark.value, unit)}" for name, mark in bars.items()], _SAID)
    return figure, f"{x_label}: {said}"


@chart
def metric_bars(width: int, metric: Metric) -> tuple[Figure, str]:
    """Return a PNG of a metric with its 95% interval, above what trivial predictors get on the same samples."""
    bars = {metric.label: metric.value} | {name.replace("_", " "): value for name, value in metric.baselines.items()}
    names = [wrapped(name, SMALL, round(0.4 * width), lines=3) for name in bars]
    tallest = max(_BAR, round(1.3 * SMALL * max(map(len, names))))
    figure = new_figure(width, 24 + (tallest + 8) * len(bars), layout="constrained")
    axes = figure.add_subplot()
    values = [*bars.values()]
    low, high = metric.interval or (metric.value, metric.value)
    ends = [max(metric.value, high), *values[1:]]
    top = max(*ends, 1e-12)
    _bars(axes, ["\n".join(lines) for lines in names], values, [SERIES[0], *[RULE] * len(metric.baselines)])
    axes.hlines(0, low, high, color=INK, lw=1.6)
    _beside(axes, ends, [format_value(value, metric.unit) for value in values], SMALL, gap=0.015 * top)
    axes.set_xlim(min(0.0, low, *values), 1.22 * top)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(RULE)
    return figure, ", ".join(f"{name} {format_value(value, metric.unit)}" for name, value in bars.items())


def class_bars(
    shares: Mapping[str, float], x_label: str, marks: Mapping[str, float] | None = None, mark_label: str = ""
) -> bytes:
    """Return a PNG of one bar per class, from the largest share to the smallest, each with its number.

    `marks` are the shares of a trivial predictor, drawn as a stroke across the bars of these classes.
    """
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    bars = {name: Mark(share, share, share) for name, share in ordered}
    return bars_chart(bars, x_label, "share", marks, mark_label)


@chart
def class_panels(
    width: int,
    classes: Sequence[str],
    panels: Mapping[str, Sequence[float]],
    colours: Sequence[tuple[int, int, int]] | None = None,
    shares: frozenset[str] = frozenset(),
) -> tuple[Figure, str]:
    """Return a PNG of one bar per class in each of several panels, such as images, objects and pixels.

    The panels named in `shares` are drawn in percent. Of more than 40 classes, the first panel's most frequent 40
    are shown.
    """
    if not classes or not panels:
        raise ValueError("a chart of classes needs at least one class and one panel")
    first = next(iter(panels.values()))
    chosen = sorted(sorted(range(len(classes)), key=lambda i: -first[i])[:MAX_BARS])
    figure = new_figure(width, 110 + _BAR * len(chosen), layout="constrained")
    fills = [SERIES[0] if colours is None else tuple(level / 255 for level in colours[i]) for i in chosen]
    names = [fitted(classes[i], SMALL, round(0.24 * width)) for i in chosen]
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, values) in zip(all_axes, panels.items(), strict=True):
        lengths = [values[i] for i in chosen]
        texts = [_percent(length) if title in shares else f"{length:,.0f}" for length in lengths]
        top = max(*lengths, 1e-12)
        _bars(axes, names, lengths, fills)
        _beside(axes, lengths, texts, SMALL - 2, gap=0.03 * top)
        axes.set_title(plain(title), size=pt(TEXT), color=INK, loc="left", parse_math=False)
        axes.set_xlim(0, (1.45 if width == WIDTH else 1.9) * top)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.spines["left"].set_color(RULE)
    title, values = next(iter(panels.items()))
    said = some([f"{classes[i]} {values[i]:,.6g}" for i in chosen], _SAID)
    return figure, f"{title} of each class: {said}"


@chart
def predicted_by_true(
    width: int, truth: NDArray[np.floating[Any]], predicted: NDArray[np.floating[Any]], name: str
) -> tuple[Figure, str]:
    """Return a PNG of a point per sample: the predicted number (N,) above the true one (N,), and the line of both.

    Of many samples evenly spaced ones are drawn, in the order of the true number. Numbers that are not finite are left
    out.
    """
    finite = np.flatnonzero(np.isfinite(truth) & np.isfinite(predicted))
    order = finite[np.argsort(truth[finite], kind="stable")]
    if len(order) > MAX_POINTS:
        order = order[np.linspace(0, len(order) - 1, MAX_POINTS).round().astype(int)]
    figure, axes = new_axes(width, round(0.62 * width))
    axes.plot(truth[order], predicted[order], "o", color=SERIES[0], ms=3, mew=0, alpha=0.45)
    if len(order):
        ends = [float(truth[order[0]]), float(truth[order[-1]])]
        axes.plot(ends, ends, color=QUIET, lw=1.4, ls="--")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(in_unit(""))
    axes.locator_params("x", nbins=6)
    finish_axes(axes, f"true {name}", "predicted", grid="both")
    off = float(np.sqrt(np.mean((predicted[finite] - truth[finite]) ** 2))) if len(finite) else 0.0
    return figure, f"predicted by true {name} of {len(finite):,} samples, off by {format_value(off)} (RMSE)"


@chart
def histogram(
    width: int, counted: Histogram, x_label: str, scale: Scale = "linear", unit: str = ""
) -> tuple[Figure, str]:
    """Return a PNG of a histogram per split, as shares of the split, with medians in the legend.

    With unit "share" the x axis is in percent.
    """
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    figure, axes = new_axes(width, 560)
    edges = np.array(counted.edges)
    for number, (name, counts) in enumerate(counted.counts.items()):
        heights = np.array(counts) / max(1, sum(counts))
        median = counted.medians[name]
        label = f"{plain(name)}, median {_percent(median) if unit == 'share' else f'{median:.3g}'}"
        color = SERIES[number % len(SERIES)]
        axes.stairs(heights, edges, color=color, lw=1.8, fill=False, label=label, zorder=3)
        axes.stairs(heights, edges, color=color, fill=True, alpha=0.14)
    if scale == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(8 if width == WIDTH else 5, integer=unit != "share"))
    else:
        base = 10 if scale == "log" else 2
        axes.set_xscale("log", base=base)
        low, high = (round(math.log(edge, base)) for edge in edges[[0, -1]])
        axes.xaxis.set_major_locator(FixedLocator([float(base) ** power for power in range(low, high + 1)]))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(in_unit(unit))
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(in_unit("share"))
    axes.set_ylim(bottom=0)
    finish_axes(axes, x_label, "share of the split", grid="both")
    draw_legend(figure, columns=3, handle_length=1.2)
    said = [f"{name} has a median of {format_value(median, unit)}" for name, median in counted.medians.items()]
    return figure, f"how often each {x_label} occurs: {', '.join(said)}"


AXES_OF_SIZES = 2
"""Axes that `sizes` can draw."""


@chart
def sizes(
    width: int,
    common: Mapping[str, Sequence[tuple[tuple[int, ...], int]]],
    axis_names: Sequence[str] = ("height", "width"),
    unit: str = "pixels",
) -> tuple[Figure, str]:
    """Return a PNG of sizes of two axes, such as (H, W): a disc per size, its area the number of samples of it."""
    figure, axes = new_axes(width, 700)
    most = max(num for counted in common.values() for _, num in counted)
    for number, (name, counted) in enumerate(common.items()):
        heights, widths = zip(*(size for size, _ in counted), strict=True)
        areas = [14 + 500 * num / most for _, num in counted]
        colour = SERIES[number % len(SERIES)]
        axes.scatter(widths, heights, areas, color=colour, alpha=0.45, lw=0, label=plain(name), zorder=3)
    longest = [max(size[axis] for counted in common.values() for size, _ in counted) for axis in (0, 1)]
    top, right = (1.12 * length for length in longest)
    shape = figure.get_figwidth() / figure.get_figheight()
    axes.set(xlim=(0, max(right, shape * top)), ylim=(0, max(top, right / shape)), aspect="equal")
    finish_axes(axes, f"{axis_names[1]} in {unit}", f"{axis_names[0]} in {unit}", grid="both")
    draw_legend(figure, columns=3, handle_length=1.2)
    said = some([f"{len(counted):,} sizes of {name}" for name, counted in common.items()])
    return figure, f"{axis_names[0]} by {axis_names[1]}, {said}"


def _height(width: int, entries: int) -> int:
    """Return a height that leaves the same room to the points, however many names the legend has in two columns."""
    return 390 + round(0.17 * width) + 38 * math.ceil(entries / (2 if width == WIDTH else 1))


def _drawable(points: Sequence[tuple[float, float]], log_y: bool) -> NDArray[np.float64]:
    """Return points (N, 2), with y = NaN where none can be drawn."""
    values = np.array(points, dtype=np.float64).reshape(-1, 2)
    y = values[:, 1]
    y[~np.isfinite(y) | (log_y & (y <= 0))] = np.nan
    return values


def _scale(axes: Axes, points: NDArray[np.float64], log_y: bool, unit: str) -> None:
    """Choose the ticks of both axes for points (N, 2)."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    heights = points[np.isfinite(points[:, 1]), 1]
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=1))
    if not heights.size:
        axes.text(0.5, 0.5, "no points to draw", transform=axes.transAxes, ha="center", color=QUIET, size=pt(TEXT))
        axes.xaxis.set_major_locator(NullLocator())
        if not axes.lines:
            axes.yaxis.set_major_locator(NullLocator())
    elif log_y:
        axes.set_yscale("log")
        decades = np.log10(heights.max() / heights.min())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
        axes.yaxis.set_minor_locator(NullLocator())
    if heights.size:
        whole_ticks(axes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axes.yaxis.set_major_formatter(in_unit(unit))
    if unit == "share":
        end_at_whole(axes)


def _baseline(axes: Axes, name: str, values: Mapping[float, float], ends: Sequence[float], unit: str) -> None:
    """Draw a trivial predictor where it is near enough to leave the marks legible, else name it in the legend."""
    low, high = min(values.values()), max(values.values())
    spread = max(ends) - min(ends) if ends else 0.0
    gap = max(min(ends) - high, low - max(ends), 0.0) if ends else 0.0
    if gap > _FAR * max(spread, 1e-12):
        side = "below" if high < min(ends) else "above"
        texts = sorted({format_value(low, unit), format_value(high, unit)})
        axes.plot([], [], "--", color=QUIET, lw=1.2, label=plain(f"{name} {' to '.join(texts)}, {side} the chart"))
        return
    label = f"{name} {format_value(low, unit)}" if high - low < 1e-9 else name
    xs = sorted(values)
    axes.plot(xs, [values[x] for x in xs], "--", color=QUIET, lw=1.2, label=plain(label))


def _level(
    axes: Axes, name: str, value: float, values: NDArray[np.float64], unit: str, dashes: tuple[float, ...]
) -> None:
    """Draw a trivial predictor across, or name it in the legend where the curves would be crowded by it."""
    label = f"{plain(name.replace('_', ' '))} {format_value(value, unit)}"
    low, high = (values.min(), values.max()) if values.size else (value, value)
    if max(low - value, value - high) > _FAR * max(high - low, 1e-12):
        side = "below" if value < low else "above"
        axes.plot([], [], color=QUIET, lw=1.2, dashes=dashes, label=f"{label}, {side} the chart")
    else:
        axes.axhline(value, color=QUIET, lw=1.2, dashes=dashes, label=label)


def _border(axes: Axes, name: str, x: float) -> None:
    """Draw where on x something begins, with its name."""
    axes.axvline(x, color=QUIET, lw=1)
    place = axes.get_xaxis_transform()
    axes.text(x, 0.99, f" {plain(name)}", transform=place, size=pt(SMALL), color=QUIET, va="top", parse_math=False)


def _errors(marks: Sequence[Mark]) -> NDArray[np.float64]:
    """Return how far the error bars reach to either side (2, N)."""
    reach = np.array([[mark.value - mark.low, mark.high - mark.value] for mark in marks]).reshape(-1, 2)
    return np.maximum(reach.T, 0)


def _bars(axes: Axes, names: Sequence[str], lengths: Sequence[float], colours: Sequence[Any]) -> None:
    """Draw a bar per class, the first one on top, with its name at the left."""
    places = range(len(names))
    axes.barh(places, lengths, height=0.64, color=colours, edgecolor=RULE, lw=0.4)
    axes.set_yticks(places, names, size=pt(SMALL), parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", labelcolor=INK, length=0)


def _beside(axes: Axes, ends: Sequence[float], texts: Sequence[str], size: int, gap: float) -> None:
    """Write each bar's number beyond its end; one that is nothing is quiet."""
    for place, (end, text) in enumerate(zip(ends, texts, strict=True)):
        colour = INK if end else QUIET
        axes.text(end + gap, place, text, size=pt(size), color=colour, va="center_baseline")


def _percent(share: float) -> str:
    """Return a share as a percentage of two digits, or more where it is nearly 100%."""
    if share == 0:
        return "0%"
    return f"{100 * share:.3g}%" if share < 0.1 else f"{share:.1%}"
