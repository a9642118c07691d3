"""Masks drawn over their pictures, with a legend.

A mask is (H, W) of class numbers, another one where nothing is judged. The background stays clear; everything else is
mixed into the picture in its colour, and classes have a border in a light shade of theirs, which shows on dark ground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.pictures.masks.read import VOID, VOID_COLOUR, Palette
from maecli.reports.canvas import encode_png
from maecli.reports.grids import Entry, as_rgb, picture_grid, write_legend

Pixels = NDArray[np.uint8]

_STRENGTH = 0.5
_ENLARGED = 400  # smaller pictures are enlarged by a whole factor, up to this


@dataclass(frozen=True)
class ClassStyle:
    """How mask classes are named and coloured; the one at `background`, if any, is left clear."""

    names: Sequence[str]
    palette: Palette
    background: int | None = None
    void: int = VOID
    """The number where nothing is judged."""

    def colours(self) -> Pixels:
        """Return the colour (256, 3) of every number that a mask may hold, or as many as there are; -1 is the last."""
        colours = np.zeros((max(256, len(self.palette) + 1, self.void + 1), 3), np.uint8)
        colours[: len(self.palette)] = self.palette
        colours[self.void] = VOID_COLOUR
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
    border = _borders(mask, thickness=max(1, round(min(mask.shape) / 250))) & ~clear & (mask != style.void)
    mixed[border] = (colours // 2 + 127)[mask[border]]
    return np.asarray(mixed, np.uint8)


def overlay(picture: NDArray[Any], mask: Pixels, style: ClassStyle, sizes: Mapping[int, str] | None = None) -> bytes:
    """Return a PNG of a picture under its mask, over a legend of colour, name and share of pixels per class.

    `sizes` says how large classes are, in place of that share, where the picture shows only a part of something.
    It has the picture's own size above the legend; pictures below 400 pixels are enlarged by a whole factor.
    """
    from PIL import Image, ImageDraw

    factor = max(1, _ENLARGED // max(mask.shape))
    large, mask = (array.repeat(factor, axis=0).repeat(factor, axis=1) for array in (as_rgb(picture), mask))
    pixels = blend(large, mask, style)
    height, width = mask.shape
    size = max(14, round((height * width) ** 0.5 / 42))
    entries = _entries(mask, style, sizes)
    page = Image.new("RGB", (max(width, _ENLARGED), height + 2 * size * (len(entries) + 1)), "white")
    page.paste(Image.fromarray(pixels), (0, 0))
    bottom = write_legend(ImageDraw.Draw(page), entries, height, page.width, size)
    return encode_png(page.crop((0, 0, page.width, bottom)), compress_level=1 if height * width > 4_000_000 else 6)


def overlay_rows(
    pictures: Sequence[NDArray[Any]],
    truths: Sequence[Pixels],
    predictions: Sequence[Pixels],
    style: ClassStyle,
    titles: Sequence[str] | None = None,
    one: str = "picture",
) -> bytes:
    """Return a PNG with a row per picture: itself, its true mask, the predicted one; below, the legend of all.

    The title of a row stands above it, and what `one` is called above the first column.
    """
    rows = [
        [as_rgb(picture), blend(picture, truth, style), blend(picture, predicted, style)]
        for picture, truth, predicted in zip(pictures, truths, predictions, strict=True)
    ]
    numbers = np.unique(np.concatenate([mask.ravel() for mask in (*truths, *predictions)]))
    legend = [(_name(number, style), _colour(number, style)) for number in numbers.tolist()]
    return picture_grid(rows, [one, "truth", "prediction"], titles, legend=legend)


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
    return style.names[number] if 0 <= number < len(style.names) else "not judged"


def _colour(number: int, style: ClassStyle) -> str:
    """Return a class's colour as #rrggbb, empty for the one that is left clear."""
    return "" if number == style.background else "#" + bytes(style.colours()[number].tolist()).hex()


def _entries(mask: Pixels, style: ClassStyle, sizes: Mapping[int, str] | None) -> list[Entry]:
    """Return name with share or size, and colour, of every class of a mask, the most frequent first."""
    numbers, counts = np.unique(mask, return_counts=True)
    shares = [f"{count / mask.size:.1%}" if count * 2000 >= mask.size else "<0.1%" for count in counts]
    told = dict(zip(numbers.tolist(), shares, strict=True)) if sizes is None else sizes
    entries = [(f"{_name(n, style)} {told.get(n, '')}".strip(), _colour(n, style)) for n in numbers.tolist()]
    return [entries[i] for i in np.argsort(-counts, kind="stable")]
