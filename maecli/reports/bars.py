"""A share per class as horizontal bars."""

from __future__ import annotations

from collections.abc import Mapping

from maecli.reports.canvas import (
    INK,
    QUIET,
    RULE,
    SERIES,
    SMALL,
    TEXT,
    WIDTH,
    new_figure,
    plain,
    pt,
    shortened,
    to_png,
)
from maecli.reports.numbers import format_value

_LINE = 40  # PNG pixels per bar


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
    places = range(len(names))
    figure = new_figure(WIDTH, 160 + _LINE * len(names), layout="constrained")
    axes = figure.add_subplot()
    values = [shares[name] for name in names]
    axes.barh(places, values, height=0.62, color=SERIES[0])
    marked = [(place, marks[name]) for place, name in enumerate(names) if name in marks]
    if marked:
        at, ends = [value for _, value in marked], [place for place, _ in marked]
        low, high = [place - 0.42 for place in ends], [place + 0.42 for place in ends]
        axes.vlines(at, low, high, color=SERIES[1], lw=2, label=plain(mark_label))
    for place, value, name in zip(places, values, names, strict=True):
        end = max(value, marks.get(name, 0.0))
        axes.text(end + 0.01, place, format_value(value, "share"), size=pt(SMALL), color=INK, va="center_baseline")
    axes.set_yticks(places, [shortened(name, 24) for name in names], size=pt(SMALL), parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"], size=pt(SMALL))
    axes.set_xlabel(plain(x_label), size=pt(TEXT), color=INK, parse_math=False)
    axes.tick_params(axis="x", labelcolor=QUIET, color=RULE, length=3)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.grid(axis="x", color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    if marked:
        legend = figure.legend(loc="outside upper left", frameon=False, fontsize=pt(SMALL), labelcolor=INK)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return to_png(figure, palette=True)
