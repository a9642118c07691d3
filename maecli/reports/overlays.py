"""Masks drawn over their pictures, with a legend.

A mask is (H, W) uint8 of class numbers, 255 where nothing is judged. The background stays clear; everything else is
mixed into the picture in its colour, and classes have a border in a light shade of theirs, which shows on dark ground.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.pictures.masks import VOID, VOID_COLOUR, Palette
from maecli.reports.canvas import load_matplotlib, plain
from maecli.reports.drawings import as_rgb, picture_grid

if TYPE_CHECKING:
    from PIL import Image, ImageFont

Pixels = NDArray[np.uint8]

_STRENGTH = 0.5
_ENLARGED = 400  # smaller pictures are enlarged by a whole factor, up to this
_INK, _QUIET, _RULE = "#1f2328", "#59636e", "#8b949e"


@dataclass(frozen=True)
class ClassStyle:
    """How mask classes are named and coloured; the one at `background`, if any, is left clear."""

    names: Sequence[str]
    palette: Palette
    background: int | None = None

    def colours(self) -> Pixels:
        """Return the colour (256, 3) of every number that a mask may hold."""
        colours = np.zeros((256, 3), np.uint8)
        colours[: len(self.palette)] = self.palette
        colours[VOID] = VOID_COLOUR
        return colours


def blend(picture: NDArray[Any], mask: Pixels, style: ClassStyle) -> Pixels:
    """Return the picture with its mask in colour, uint8 (H, W, 3). The picture is as for `picture_grid`."""
    pixels = as_rgb(picture)
    if mask.shape != pixels.shape[:2]:
        raise ValueError(f"a mask of {mask.shape} does not lie on a picture of {pixels.shape[:2]}")
    colours = style.colours()
    clear = mask == style.background if style.background is not None else np.zeros(mask.shape, bool)
    # a table of products, in whole numbers: a photograph in floats would take a gigabyte
    tinted = (np.arange(256) * (1 - _STRENGTH)).astype(np.uint8)[pixels] + (colours * _STRENGTH).astype(np.uint8)[mask]
    mixed = np.where(clear[..., None], pixels, tinted)
    border = _borders(mask, thickness=max(1, round(min(mask.shape) / 250))) & ~clear & (mask != VOID)
    mixed[border] = (colours // 2 + 127)[mask[border]]
    return np.asarray(mixed, np.uint8)


def overlay(picture: NDArray[Any], mask: Pixels, style: ClassStyle) -> bytes:
    """Return a PNG of a picture under its mask, over a legend of colour, name and share of pixels per class.

    It has the picture's own size above the legend; pictures below 400 pixels are enlarged by a whole factor.
    """
    from PIL import Image

    factor = max(1, _ENLARGED // max(mask.shape))
    large, mask = (each.repeat(factor, axis=0).repeat(factor, axis=1) for each in (as_rgb(picture), mask))
    pixels = blend(large, mask, style)
    height, width = mask.shape
    size = max(14, round((height * width) ** 0.5 / 42))
    legend = _legend(_entries(mask, style), max(width, _ENLARGED), size)
    page = Image.new("RGB", (legend.width, height + legend.height), "white")
    page.paste(Image.fromarray(pixels), (0, 0))
    page.paste(legend, (0, height))
    return _png(page, level=1 if height * width > 4_000_000 else 6)


def overlay_rows(
    pictures: Sequence[NDArray[Any]], truths: Sequence[Pixels], predictions: Sequence[Pixels], style: ClassStyle
) -> bytes:
    """Return a PNG with a row per picture: itself, its true mask, the predicted one; below, the legend of all."""
    from PIL import Image

    rows = [
        [as_rgb(picture), blend(picture, truth, style), blend(picture, predicted, style)]
        for picture, truth, predicted in zip(pictures, truths, predictions, strict=True)
    ]
    found = np.unique(np.concatenate([mask.ravel() for mask in (*truths, *predictions)]))
    entries = [(_name(number, style), _swatch(number, style), "") for number in map(int, found)]
    with Image.open(io.BytesIO(picture_grid(rows, ["picture", "truth", "prediction"]))) as grid:
        dpi = grid.info.get("dpi", (96, 96))
        legend = _legend(entries, grid.width, 24)
        page = Image.new("RGB", (grid.width, grid.height + legend.height), "white")
        page.paste(grid.convert("RGB"), (0, 0))
    page.paste(legend, (0, page.height - legend.height))
    return _png(page, level=6, dpi=dpi)


def _borders(mask: Pixels, thickness: int) -> NDArray[np.bool_]:
    """Return where a pixel of another class lies within `thickness` to the left, right, above or below."""
    border = np.zeros(mask.shape, bool)
    for step in range(1, thickness + 1):
        down, across = mask[step:] != mask[:-step], mask[:, step:] != mask[:, :-step]
        border[step:] |= down
        border[:-step] |= down
        border[:, step:] |= across
        border[:, :-step] |= across
    return border


def _name(number: int, style: ClassStyle) -> str:
    return style.names[number] if number < len(style.names) else "not judged"


def _swatch(number: int, style: ClassStyle) -> tuple[int, int, int] | None:
    """Return a class's colour, None for the one that is left clear."""
    if number == style.background:
        return None
    red, green, blue = style.colours()[number].tolist()
    return red, green, blue


_Entry = tuple[str, tuple[int, int, int] | None, str]


def _entries(mask: Pixels, style: ClassStyle) -> list[_Entry]:
    """Return name, colour and share of every class of a mask, the most frequent first."""
    numbers, counts = np.unique(mask, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [
        (
            _name(int(numbers[i]), style),
            _swatch(int(numbers[i]), style),
            f"{100 * counts[i] / mask.size:.1f}%" if counts[i] * 2000 >= mask.size else "<0.1%",
        )
        for i in order
    ]


def _legend(entries: Sequence[_Entry], width: int, size: int) -> Image.Image:
    """Return a white strip with swatch, name and share of each class, in as many lines as they need."""
    from PIL import Image, ImageDraw

    font = _font(size)
    margin, gap, line = size, round(1.2 * size), round(1.7 * size)
    places: list[tuple[int, int, str]] = []
    x, y = margin, margin
    for name, _, share in entries:
        room = width - 2 * margin - line - round(font.getlength(f" {share}"))
        text = f"{_fitted(plain(name), font, room)} {share}".rstrip()
        wide = line + round(font.getlength(text))
        if x > margin and x + wide > width - margin:
            x, y = margin, y + line
        places.append((x, y, text))
        x += wide + gap
    strip = Image.new("RGB", (width, y + line + margin // 2), "white")
    draw = ImageDraw.Draw(strip)
    for (left, top, text), (_, colour, _) in zip(places, entries, strict=True):
        box = (left, top, left + size, top + size)
        draw.rectangle(box, fill=colour or "white", outline=_RULE, width=max(1, size // 14))
        draw.text((left + line, top + size / 2), text, font=font, fill=_INK if colour else _QUIET, anchor="lm")
    return strip


def _fitted(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text}…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    load_matplotlib()
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _png(image: Image.Image, level: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level, **options)
    return buffer.getvalue()
