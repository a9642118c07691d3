"""Figures as PNG bytes: grids of pictures, contact sheets, curves and confusion matrices.

All are drawn for a page column of 520 CSS pixels at two PNG pixels each, with type that is still legible when
a phone shrinks them to 360. They use matplotlib's objects on an Agg canvas and no pyplot, so that nothing is
global and any thread may draw.

Pictures are arrays of shape (H, W), (C, H, W) or (H, W, 3), uint8 or float in [0, 1], of any size. Three axes
are read as channels first, unless the last is 3 and the first is neither 1 nor 3. One channel is shown as grey,
two as red and green without blue, three as RGB, and of more the first three as RGB.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maecli.reports.axes import finish_axes, new_axes, series_style, whole_ticks
from maecli.reports.canvas import (
    INK,
    QUIET,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    draw_legend,
    new_figure,
    plain,
    pt,
    shortened,
    to_png,
    without_middle,
)
from maecli.reports.numbers import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pixels = NDArray[np.uint8]

CHARACTER = 0.58
"""Width of a letter of DejaVu Sans, on average, as a share of the type's size."""

SHEET_SIZE = 36
"""Pictures on one contact sheet."""

_MARGIN = 12
_GAP = 16
_BOX = 320
_TINY = 64
_COUNTED_CLASSES = 20
_MAX_CELLS = 200

_WRONG = "#b3261e"
_DASHES = ((6.0, 3.0), (2.0, 2.0), (8.0, 2.0, 2.0, 2.0))


def picture_grid(
    rows: Sequence[Sequence[NDArray[Any]]],
    column_titles: Sequence[str],
    row_titles: Sequence[str] | None = None,
    max_px: int = WIDTH,
) -> bytes:
    """Return a PNG of rows of pictures under their column titles, at most `max_px` wide.

    Small pictures are enlarged by whole factors, each pixel a crisp square; large ones are reduced. A row's
    title stands above it.
    """
    if not rows or not column_titles:
        raise ValueError("a picture grid needs at least one row and one column")
    box = min(_BOX, _box(max_px, len(column_titles)))
    if box < 1:
        raise ValueError(f"{len(column_titles)} columns do not fit into max_px ({max_px})")
    cells = [[_Cell(_fit(as_rgb(picture), box)) for picture in row] for row in rows]
    if any(len(row) != len(column_titles) for row in cells):
        raise ValueError(f"each row needs {len(column_titles)} pictures, one per column title")
    return _mosaic(cells, box, column_titles, row_titles or [""] * len(rows))


def contact_sheet(
    pictures: Sequence[NDArray[Any]],
    captions: Sequence[str],
    wrong: Sequence[bool | None] | None = None,
    keys: Sequence[str] = (),
) -> bytes:
    """Return a PNG of the first 36 pictures, each over its caption, such as class and probability.

    `wrong` is True where the prediction is known to be wrong (a red frame and the word), None where the truth
    is unknown. The last part of a key, such as a file's name, stands below, without its middle if it is long.
    """
    if not len(pictures):
        raise ValueError("a contact sheet needs at least one picture")
    marks = [None] * len(pictures) if wrong is None else wrong
    names = [key.rpartition("/")[2] for key in keys] or [""] * len(pictures)
    first = list(zip(pictures, captions, marks, names, strict=True))[:SHEET_SIZE]
    images = [as_rgb(picture) for picture, *_ in first]
    columns = 6 if all(max(image.shape) <= _TINY for image in images) else 4
    box = _box(WIDTH, columns)
    cells = [
        _Cell(_fit(image, box), caption, wrong=mark is True, name=name)
        for image, (_, caption, mark, name) in zip(images, first, strict=True)
    ]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    return _mosaic(rows, box, [""] * len(rows[0]), [""] * len(rows))


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    *,
    log_y: bool = False,
    baselines: Mapping[str, float] | None = None,
    unit: str = "",
) -> bytes:
    """Return a PNG of one line per series of (x, y) points, and a dashed line per baseline.

    Points that are not finite leave a gap, as do those <= 0 on a logarithmic axis. With unit "share" the y axis
    is in percent.
    """
    figure, axes = new_axes(640)
    points = {name: _drawable(values, log_y) for name, values in series.items()}
    for index, (name, values) in enumerate(points.items()):
        marker = "o" if np.isfinite(values[:, 1]).sum() <= 12 else ""
        colour, style = series_style(index)
        axes.plot(values[:, 0], values[:, 1], style, color=colour, lw=1.6, marker=marker, ms=3.5, label=plain(name))
    lines = {
        name: value for name, value in (baselines or {}).items() if np.isfinite(value) and not (log_y and value <= 0)
    }
    for index, (name, value) in enumerate(lines.items()):
        label = f"{plain(name.replace('_', ' '))} {format_value(value, unit)}"
        axes.axhline(value, color=QUIET, lw=1.2, dashes=_DASHES[index % len(_DASHES)], label=label)

    _scale(axes, [*points.values()], [*lines.values()], log_y, unit)
    whole_ticks(axes)
    finish_axes(axes, x_label, y_label)
    if series or lines:
        draw_legend(figure, columns=2)
    return to_png(figure, palette=True)


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
    names = [shortened(classes[i]) for i in ticks]
    size = TEXT if n <= 12 else SMALL
    too_wide = max(map(len, names)) * 0.6 * size > 0.75 * side / len(ticks)
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
    return to_png(figure, palette=True)


@dataclass(frozen=True)
class _Cell:
    """One picture of a mosaic, already at its final size, with what stands under it."""

    pixels: Pixels
    caption: str = ""
    wrong: bool = False
    name: str = ""


def _mosaic(
    rows: Sequence[Sequence[_Cell]], box: int, column_titles: Sequence[str], row_titles: Sequence[str]
) -> bytes:
    """Return a PNG of cells, each text wrapped to its column; captioned pictures stand on one base line."""
    columns = range(max(len(row) for row in rows))
    captioned = any(cell.caption for row in rows for cell in row)
    widths = [
        max(box if captioned else 0, *(row[i].pixels.shape[1] for row in rows if i < len(row)), min(box, least))
        for i, least in enumerate(_word_widths(column_titles, len(columns)))
    ]
    lefts = [_MARGIN + sum(widths[:i]) + _GAP * i for i in columns]
    width = lefts[-1] + widths[-1] + _MARGIN

    texts: list[tuple[float, float, str, dict[str, Any]]] = []
    images: list[tuple[int, int, _Cell]] = []
    titles = [_wrapped(title, widths[i], TEXT, lines=4) for i, title in enumerate(column_titles)]
    y = _MARGIN
    if deepest := max(map(len, titles)):
        for i, lines in enumerate(titles):
            # the last lines of all titles stand on one base line
            texts += [
                (lefts[i], y + (deepest - len(lines) + k) * _line(TEXT), line, {"size": pt(TEXT)})
                for k, line in enumerate(lines)
            ]
        y += deepest * _line(TEXT) + _GAP // 2
    for row, title in zip(rows, row_titles, strict=True):
        for line in _wrapped(title, width - 2 * _MARGIN, SMALL, lines=2):
            texts.append((_MARGIN, y, line, {"size": pt(SMALL), "color": QUIET}))
            y += _line(SMALL)
        tallest = max(cell.pixels.shape[0] for cell in row)
        deepest = 0
        for i, cell in enumerate(row):
            images.append((lefts[i], y + (tallest - cell.pixels.shape[0] if captioned else 0), cell))
            lines = _wrapped(cell.caption, widths[i], SMALL, lines=3)
            styles: list[dict[str, Any]] = [{"size": pt(SMALL)}] * len(lines)
            if cell.wrong:
                lines.append("wrong")
                styles.append({"size": pt(SMALL), "color": _WRONG, "weight": "bold"})
            if cell.name:
                lines.append(without_middle(cell.name, _letters(widths[i], SMALL)))
                styles.append({"size": pt(SMALL), "color": QUIET})
            top = y + tallest + _GAP // 2
            texts += [
                (lefts[i], top + k * _line(SMALL), line, style)
                for k, (line, style) in enumerate(zip(lines, styles, strict=True))
            ]
            deepest = max(deepest, len(lines))
        y += tallest + (deepest * _line(SMALL) + _GAP // 2 if deepest else 0) + _GAP
    height = y - _GAP + _MARGIN

    figure = new_figure(width, height)
    for x, top, text, style in texts:
        figure.text(x / width, 1 - top / height, text, va="top", parse_math=False, **{"color": INK, **style})
    for x, top, cell in images:
        figure.figimage(_framed(cell), xo=x, yo=height - top - cell.pixels.shape[0], origin="upper")
    return to_png(figure)


def _word_widths(titles: Sequence[str], num: int) -> list[int]:
    """Return for each of `num` columns the width in which no word of its title is broken, at least 160."""
    longest = [max((len(word) for word in title.split()), default=0) for title in titles]
    return [max(160, math.ceil(length * CHARACTER * TEXT)) for length in [*longest, *[0] * num][:num]]


def _box(width: int, columns: int) -> int:
    """Return the side of the square that each of `columns` pictures has."""
    return (width - 2 * _MARGIN + _GAP) // columns - _GAP


def _framed(cell: _Cell) -> Pixels:
    if not cell.wrong:
        return cell.pixels
    thickness = 8
    framed = np.empty_like(cell.pixels)
    framed[:] = [int(_WRONG[i : i + 2], 16) for i in (1, 3, 5)]
    inner = (slice(thickness, -thickness), slice(thickness, -thickness))
    framed[inner] = cell.pixels[inner]
    return framed


def as_rgb(picture: NDArray[Any]) -> Pixels:
    """Return a picture as uint8 of shape (H, W, 3); missing values (NaN) become middle grey."""
    if picture.dtype == np.bool_ or np.issubdtype(picture.dtype, np.floating):
        levels = np.nan_to_num(picture.astype(np.float32), nan=0.5, posinf=1.0, neginf=0.0)
        picture = (np.clip(levels, 0, 1) * 255).round().astype(np.uint8)
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ValueError(
            f"a picture must be uint8 or float in [0, 1] of shape (H, W), (C, H, W) or (H, W, 3), "
            f"not {picture.dtype} of shape {picture.shape}"
        )
    if picture.ndim == 2:
        picture = picture[None]
    elif picture.shape[2] == 3 and picture.shape[0] not in (1, 3):
        picture = picture.transpose(2, 0, 1)
    if len(picture) == 1:
        picture = picture.repeat(3, axis=0)
    elif len(picture) == 2:
        picture = np.concatenate([picture, np.zeros_like(picture[:1])])
    return np.ascontiguousarray(picture[:3].transpose(1, 2, 0))


def _fit(pixels: Pixels, box: int) -> Pixels:
    """Enlarge by the largest whole factor, or reduce, so that the longer side fits `box`."""
    from PIL import Image

    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer <= box:
        factor = box // longer
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    size = max(1, round(width * box / longer)), max(1, round(height * box / longer))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _scale(axes: Axes, points: Sequence[NDArray[np.float64]], lines: Sequence[float], log_y: bool, unit: str) -> None:
    """Choose the ticks of both axes for the points (each (N, 2)) and the heights of the lines."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    every = np.concatenate([*points, _drawable([(np.nan, value) for value in lines], log_y)])
    drawn = every[np.isfinite(every[:, 1]), 1]
    if log_y and drawn.size:
        axes.set_yscale("log")
        decades = np.log10(drawn.max() / drawn.min())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6))
    whole = bool(np.all(np.mod(every[np.isfinite(every[:, 0]), 0], 1) == 0))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=whole, min_n_ticks=1))
    if not any(np.isfinite(values[:, 1]).any() for values in points):
        axes.text(0.5, 0.5, "no points to draw", transform=axes.transAxes, ha="center", color=QUIET, size=pt(TEXT))
        axes.xaxis.set_major_locator(NullLocator())
        if not lines:
            axes.yaxis.set_major_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.6g}%" if unit == "share" else f"{y:.6g}"))


def _drawable(points: Sequence[tuple[float, float]], log_y: bool) -> NDArray[np.float64]:
    values = np.array(points, dtype=np.float64).reshape(-1, 2)
    y = values[:, 1]
    y[~np.isfinite(y) | (log_y & (y <= 0))] = np.nan
    return values


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


def _wrapped(text: str, width: int, size: int, lines: int) -> list[str]:
    """Break a text into at most `lines` lines that fit `width`, for type of `size` pixels."""
    return textwrap.wrap(plain(text), max(_letters(width, size), 2), max_lines=lines, placeholder="…")


def _letters(width: int, size: int) -> int:
    """Return how many letters of `size` pixels fit a width."""
    return max(1, int(width / (CHARACTER * size)))


def _line(size: int) -> int:
    return round(1.25 * size)
