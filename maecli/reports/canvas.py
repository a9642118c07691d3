"""What every drawing shares: its width and type, its colours and axes, and how it becomes a PNG.

Drawings are as wide as a page's column, 704 CSS pixels of two PNG pixels each; charts are drawn for a phone's column
too, as SVG that a page takes. They use matplotlib's objects and no pyplot, so that any thread may draw. Lengths are PNG
pixels.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec

import numpy as np

from maecli.reports import vector
from maecli.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.ticker import FuncFormatter as Ticker
    from PIL import Image, ImageFont

P = ParamSpec("P")

DPI = 192  # two PNG pixels per CSS pixel
WIDTH = 1408
NARROW = 716
"""Width for a phone, or for half a column."""
TEXT = 28
SMALL = 25
_LONGEST = 120  # letters of a text

INK = "#1f2328"
QUIET = "#59636e"
RULE = "#d5d9de"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of Okabe and Ito, safe for colour-blind eyes."""
_STYLES = ("-", "--", ":")
HEAT = "#0b4f86"
"""Of the cells of a matrix, the stronger the more."""
VARIABLES = {
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)},
    INK: "ink",
    QUIET: "quiet",
    RULE: "rule",
    HEAT: "heat",
    "#ffffff": "paper",
}
"""What a page calls the colours of a chart, light and dark."""


def pt(pixels: int) -> float:
    return pixels * 72 / DPI


def load_matplotlib() -> None:
    """Import matplotlib without a `matplotlibrc` of the current folder, which is whoever's folder that is."""
    if "matplotlib" not in sys.modules and Path("matplotlibrc").exists():
        with contextlib.chdir(Path(__file__).parent):
            importlib.import_module("matplotlib")


def new_figure(width: int, height: int, layout: Any = None) -> Figure:
    load_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white", layout=layout)


def new_axes(width: int, height: int) -> tuple[Figure, Axes]:
    """Return a figure and its only axes."""
    figure = new_figure(width, height, layout="constrained")
    return figure, figure.add_subplot()


def series_style(number: int) -> tuple[str, str]:
    """Return the colour and the line style of a series; the style changes when all colours have been used."""
    return SERIES[number % len(SERIES)], _STYLES[number // len(SERIES) % len(_STYLES)]


def whole_ticks(axes: Axes) -> None:
    """Let the ticks of x, which counts epochs or steps, be whole numbers where at least two of them are in sight."""
    low, high = axes.get_xlim()
    if math.floor(high) > math.ceil(low):
        axes.locator_params("x", integer=True)


_ROUNDING = 1e-9
"""Of the places of ticks, which are multiples of a step."""
_ROOM = 0.02
"""Share of an axis beyond 0% and 100%, where marks that lie there have their other half."""


def end_at_whole(axes: Axes) -> None:
    """Let a y axis in percent end at 0% and 100%, unless something lies beyond."""
    (low, high), (lowest, highest) = axes.get_ylim(), axes.dataLim.intervaly
    room = _ROOM * (high - low)
    axes.set_ylim(max(low, -room) if lowest >= 0 else low, min(high, 1 + room) if highest <= 1 else high)


def tick_to_whole(axes: Axes) -> None:
    """Let the ticks of an x axis in percent end at 0% and 100%, unless something lies beyond: there texts have room."""
    (low, high), (lowest, highest) = axes.get_xlim(), axes.dataLim.intervalx
    low, high = max(low, min(0.0, lowest)), min(high, max(1.0, highest))
    axes.set_xticks([tick for tick in axes.get_xticks() if low - _ROUNDING <= tick <= high + _ROUNDING])


def in_unit(unit: str) -> Ticker:
    """Return what writes the numbers at the ticks: in percent for "share"."""
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{100 * value:.6g}%" if unit == "share" else f"{value:,.6g}")


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


def draw_legend(figure: Figure, columns: int = 1, handle_length: float = 1.8) -> Legend | None:
    """Draw the legend of all axes above them, if any has names; these are taken letter by letter, a dollar sign too.

    It has `columns`, or fewer where names are too long for that. Colours of points are shown in one size.
    """
    names = [name for axes in figure.axes for name in axes.get_legend_handles_labels()[1]]
    if not names:
        return None
    longest = max(font(SMALL).getlength(name) for name in names) + (handle_length + 3) * SMALL
    columns = max(1, min(columns, int(width_of(figure) // longest)))
    legend = figure.legend(
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=pt(SMALL),
        labelcolor=INK,
        handlelength=handle_length,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([60])
    return legend


def chart(draw: Callable[Concatenate[int, P], tuple[Figure, str]]) -> Callable[P, bytes]:
    """Let a function that draws a figure of a width, and says what it shows, return a PNG.

    The PNG notes the figure as SVG for pages, of both widths where it can be narrow, and what it shows.
    """

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> bytes:
        figure, seen = draw(WIDTH, *args, **kwargs)
        narrow, _ = draw(NARROW, *args, **kwargs)
        notes = {vector.SEEN: one_line(seen), vector.WIDE: vector.to_svg(figure, VARIABLES)}
        if width_of(narrow) <= NARROW:
            notes[vector.NARROW] = vector.to_svg(narrow, VARIABLES)
        return to_png(figure, notes)

    signature = inspect.signature(draw)
    without_width = [*signature.parameters.values()][1:]
    drawn.__signature__ = signature.replace(parameters=without_width, return_annotation="bytes")  # type: ignore[attr-defined]
    return drawn


def width_of(figure: Figure) -> int:
    """Return the width of a figure in PNG pixels."""
    return round(figure.get_figwidth() * DPI)


def to_png(figure: Figure, notes: Mapping[str, str]) -> bytes:
    """Draw the figure, with a palette of 256 colours; the PNG holds the notes that are not empty."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, text in notes.items():
        if text:
            info.add_itxt(key, text, zip=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    image = Image.fromarray(np.ascontiguousarray(pixels)).quantize(256, dither=Image.Dither.NONE)
    return encode_png(image, compress_level=6, dpi=(DPI, DPI), pnginfo=info)


def encode_png(image: Image.Image, **options: Any) -> bytes:
    """Return a picture as PNG; `options` are those of PIL."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the type of all drawings at a size in pixels, which tells how long a text is."""
    load_matplotlib()
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def fitted(text: str, size: int, width: int) -> str:
    """Return a text no longer than `width`; of a long one the middle goes, since a number or a suffix often ends it."""
    text = plain(text)
    short, kept = text, len(text)
    while kept > 1 and font(size).getlength(short) > width:
        kept -= 1
        short = f"{text[: kept // 3]}…{text[kept // 3 - kept :]}"
    return short


def wrapped(text: str, size: int, width: int, lines: int) -> list[str]:
    """Break a text between its words into at most `lines` lines of `width`; what is too long loses its middle."""
    made: list[str] = []
    for word in plain(text).split():
        if made and (len(made) == lines or font(size).getlength(f"{made[-1]} {word}") <= width):
            made[-1] += f" {word}"
        else:
            made.append(word)
    return [fitted(line, size, width) for line in made]


def plain(text: str) -> str:
    """Return the text on one line, with a box for each letter that matplotlib's own font cannot draw.

    Of a long one the middle is left out: a figure has no room for it. One that begins with _ gets a blank before it, or
    matplotlib would leave it out of legends.
    """
    load_matplotlib()
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    line = "".join(c if font.get_char_index(ord(c)) else "□" for c in " ".join(text.split()))
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]}…{line[-_LONGEST // 2 :]}"
    return f" {line}" if line.startswith("_") else line
