"""What every figure shares: its width and type, its colours, and how it becomes a PNG.

Lengths are PNG pixels, two for each CSS pixel.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

DPI = 192  # two PNG pixels per CSS pixel
WIDTH = 1040
TEXT = 28
SMALL = 24

_LONGEST = 120  # letters of a text
_LEGEND_LETTERS = 66
"""As many letters of a legend fit side by side."""

INK = "#1f2328"
QUIET = "#59636e"
RULE = "#d5d9de"
SERIES = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
)  # Okabe and Ito, safe for colour-blind eyes


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


def draw_legend(figure: Figure, columns: int = 1, handle_length: float = 1.8) -> Legend:
    """Draw the legend of all axes above them; names are taken letter by letter, a dollar sign too.

    It has `columns`, or fewer where names are too long for that.
    """
    names = [name for axes in figure.axes for name in axes.get_legend_handles_labels()[1]]
    columns = max(1, min(columns, _LEGEND_LETTERS // max(map(len, names), default=1)))
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
    return legend


def to_png(figure: Figure, palette: bool = False) -> bytes:
    """Draw the figure; grey pictures are stored as grey, charts with a palette of 256 colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    if (pixels == pixels[..., :1]).all():
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]))
    else:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if palette:
            image = image.quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, dpi=(DPI, DPI))
    return buffer.getvalue()


def plain(text: str) -> str:
    """Return the text on one line, with a box for each letter that matplotlib's own font cannot draw.

    Of a long one the middle is left out: a figure has no room for it. One that begins with _ gets a blank before it, or
    matplotlib would leave it out of legends.
    """
    load_matplotlib()
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    shown = "".join(c if font.get_char_index(ord(c)) else "□" for c in " ".join(text.split()))
    if len(shown) > _LONGEST:
        shown = f"{shown[: _LONGEST // 2]}…{shown[-_LONGEST // 2 :]}"
    return f" {shown}" if shown.startswith("_") else shown


def shortened(name: str, length: int = 14) -> str:
    name = plain(name)
    return name if len(name) <= length else name[: length - 1] + "…"


def without_middle(name: str, length: int) -> str:
    """Return a name of at most `length` letters, three at least; of a file's, the end tells more than the start."""
    name = plain(name)
    tail = 2 * (length - 1) // 3
    return name if len(name) <= length else f"{name[: length - 1 - tail]}…{name[-tail:]}"
