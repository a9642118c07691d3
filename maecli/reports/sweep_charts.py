"""Charts of a sweep: a figure over what varies, and how the runs got there. PNG bytes, drawn like the other figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maecli.reports.axes import finish_axes, new_axes, series_style, whole_ticks
from maecli.reports.canvas import (
    INK,
    QUIET,
    SERIES,
    SMALL,
    draw_legend,
    plain,
    pt,
    shortened,
    to_png,
)
from maecli.reports.numbers import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_MARKERS = "osD^vP"
_BAR = 44  # PNG pixels
_LOG_FROM = 8
"""Ratio of the largest to the smallest x from which the axis is logarithmic."""
_FAR = 2.0
"""A baseline further away than this many times the range of the points is named in the legend, not drawn."""


@dataclass(frozen=True)
class Mark:
    """A mean and the ends of what it may be off by; the same number thrice where that is not known."""

    value: float
    low: float
    high: float


def points_chart(
    series: Mapping[str, Mapping[float, Mark]],
    x_label: str,
    y_label: str,
    unit: str = "",
    levels: Mapping[str, Mark] | None = None,
    baseline: tuple[str, Mapping[float, float]] | None = None,
) -> bytes:
    """Return a PNG of one line per series of marks by x, each with its error bar, ticks at the values of x.

    `levels` do not depend on x and are drawn across. `baseline` is a trivial predictor, its name and its value by x.
    """
    figure, axes = new_axes(_height(len(series) + len(levels or {}) + 1))
    for number, (name, marks) in enumerate(series.items()):
        xs = sorted(marks)
        _errors(axes, xs, [marks[x] for x in xs], number, name)
    every = [end for marks in series.values() for mark in marks.values() for end in (mark.low, mark.high)]
    ticks = sorted({x for marks in series.values() for x in marks})
    for number, (name, level) in enumerate((levels or {}).items(), len(series)):
        colour = SERIES[number % len(SERIES)]
        axes.axhline(level.value, color=colour, lw=1.6, ls="-.", label=plain(name))
        axes.axhspan(level.low, level.high, color=colour, alpha=0.12, lw=0)
        every += [level.low, level.high]
    if baseline is not None:
        _baseline(axes, baseline, every, unit)
    if ticks and min(ticks) > 0 and max(ticks) >= _LOG_FROM * min(ticks):
        axes.set_xscale("log")
    _ticks(axes, ticks, unit)
    return _finished(figure, axes, x_label, y_label)


def bars_chart(
    bars: Mapping[str, Mark],
    x_label: str,
    unit: str = "",
    baselines: Mapping[str, float] | None = None,
    baseline: str = "",
) -> bytes:
    """Return a PNG of one bar per name, from zero, each with its number and error bar.

    `baselines` are what the trivial predictor `baseline` gets, drawn as a stroke across the bars of these names.
    """
    if not bars:
        raise ValueError("a bar chart needs at least one bar")
    figure, axes = new_axes(190 + _BAR * len(bars))
    names, marks = list(bars), list(bars.values())
    places = range(len(names))
    axes.barh(places, [mark.value for mark in marks], height=0.62, color=SERIES[0])
    low = [mark.value - mark.low for mark in marks]
    high = [mark.high - mark.value for mark in marks]
    axes.errorbar([mark.value for mark in marks], places, xerr=(low, high), fmt="none", ecolor=INK, elinewidth=1.4)
    stroked = [(place, baselines[name]) for place, name in enumerate(names) if baselines and name in baselines]
    if stroked:
        ends = [place - 0.42 for place, _ in stroked], [place + 0.42 for place, _ in stroked]
        axes.vlines([value for _, value in stroked], *ends, color=SERIES[1], lw=2, label=plain(baseline))
    top = max([*(mark.high for mark in marks), *(value for _, value in stroked), 1e-12])
    for place, mark in enumerate(marks):
        text = format_value(mark.value, unit)
        axes.text(mark.high + 0.015 * top, place, text, size=pt(SMALL), color=INK, va="center_baseline")
    axes.set_yticks(places, [shortened(name, 34) for name in names], size=pt(SMALL), parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(min(0.0, *(mark.low for mark in marks)), 1.22 * top)
    axes.xaxis.set_major_formatter(_written(unit))
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    finish_axes(axes, x_label, None, grid="x")
    if stroked:
        draw_legend(figure)
    return to_png(figure, palette=True)


def learning_chart(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    y_label: str,
    unit: str = "",
    ends: Mapping[str, tuple[float, float]] | None = None,
    end_label: str = "",
) -> bytes:
    """Return a PNG of one curve per name over epochs; `ends` are single points of these names, drawn as diamonds.

    The y axis is logarithmic where the values are positive and span a factor of ten.
    """
    figure, axes = new_axes(_height(len(curves) + 1))
    for number, (name, points) in enumerate(curves.items()):
        colour, style = series_style(number)
        marker = "o" if len(points) <= 12 else ""
        xs, ys = [x for x, _ in points], [y if math.isfinite(y) else math.nan for _, y in points]
        axes.plot(xs, ys, style, color=colour, lw=1.6, marker=marker, ms=3.5, label=plain(name))
        if ends and name in ends:
            x, y = ends[name]
            axes.plot([x], [y], "D", color=colour, ms=7, mec="white", mew=1, zorder=5)
    if ends:
        axes.plot([], [], "D", color=QUIET, ms=7, label=plain(end_label))
    values = [y for points in curves.values() for _, y in points if math.isfinite(y)]
    if values and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
    _ticks(axes, None, unit)
    whole_ticks(axes)
    return _finished(figure, axes, "epoch", y_label)


def _height(entries: int) -> int:
    """Return a height that leaves the same room to the points, however many names the legend has in two columns."""
    return 590 + 36 * math.ceil(entries / 2)


def _errors(axes: Axes, xs: Sequence[float], marks: Sequence[Mark], number: int, name: str) -> None:
    low = [max(0.0, mark.value - mark.low) for mark in marks]
    high = [max(0.0, mark.high - mark.value) for mark in marks]
    colour, style = series_style(number)
    axes.errorbar(
        xs,
        [mark.value for mark in marks],
        yerr=(low, high),
        color=colour,
        ls=style,
        marker=_MARKERS[number % len(_MARKERS)],
        ms=5,
        lw=1.6,
        capsize=4,
        elinewidth=1.2,
        label=plain(name),
    )


def _baseline(axes: Axes, baseline: tuple[str, Mapping[float, float]], every: Sequence[float], unit: str) -> None:
    """Draw a trivial predictor where it is near enough to leave the points legible, else name it in the legend."""
    name, values = baseline
    numbers = list(values.values())
    spread = max(every) - min(every) if every else 0.0
    gap = max(min(every) - max(numbers), min(numbers) - max(every), 0.0) if every else 0.0
    label = f"{name} {format_value(numbers[0], unit)}" if max(numbers) - min(numbers) < 1e-9 else name
    if gap > _FAR * max(spread, 1e-12):
        side = "below" if max(numbers) < min(every) else "above"
        ends = sorted({format_value(min(numbers), unit), format_value(max(numbers), unit)})
        axes.plot([], [], "--", color=QUIET, lw=1.2, label=plain(f"{name} {' to '.join(ends)}, {side} the chart"))
        return
    xs = sorted(values)
    axes.plot(xs, [values[x] for x in xs], "--", color=QUIET, lw=1.2, label=plain(label))


def _ticks(axes: Axes, xs: Sequence[float] | None, unit: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    if xs is None:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    else:
        axes.set_xticks(xs, [f"{x:g}" for x in xs])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(6) if axes.get_yscale() == "linear" else LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(_written(unit))
    axes.yaxis.set_minor_locator(NullLocator())


def _written(unit: str) -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda y, _: f"{100 * y:.6g}%" if unit == "share" else f"{y:.6g}")


def _finished(figure: Drawing, axes: Axes, x_label: str, y_label: str) -> bytes:
    finish_axes(axes, x_label, y_label)
    if axes.get_legend_handles_labels()[0]:
        draw_legend(figure, columns=3)
    return to_png(figure, palette=True)
