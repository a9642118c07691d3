"""Pictures in a grid with their texts: one PNG that can be mailed, from which a page takes each picture and each text.

Where the pictures lie and what stands with them is noted in the PNG itself, as draw.io keeps a diagram in one. A page
then lays out the texts as HTML; the letters in the PNG are for who opens it by itself.

Pictures are arrays of shape (H, W), (C, H, W) or (H, W, 3), uint8 or float in [0, 1], of any size. Three axes
are read as channels first, unless the last is 3 and the first is neither 1 nor 3. One channel is shown as grey,
two as red and green without blue, three as RGB, and of more the first three as RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maecli.reports.canvas import DPI, INK, QUIET, RULE, SMALL, TEXT, WIDTH, encode_png, fitted, font, wrapped
from maecli.text import one_line

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Pixels = NDArray[np.uint8]
_Picture = tuple[Pixels, str, bool, str]
"""A picture with its caption, whether that is wrong, and the name of its file."""

SHEET_SIZE = 36
"""Pictures on one contact sheet."""

_KEY = "mae:grid"
_MARGIN = 12
_GAP = 16
_BOX = 320
_TINY = 64
_WRONG = "#b3261e"
_FRAME = 8
_COMPRESSION = 4
"""Twice to ten times as fast as PIL's `optimize`, for PNGs that are 1 to 3% larger."""

Entry = tuple[str, Annotated[str, Field(pattern="^(#[0-9a-f]{6})?$")]]
"""A line of a legend: text, and colour as #rrggbb; none for what is left clear."""


class Cell(BaseModel):
    """One picture of a grid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: tuple[int, int, int, int] = Field(description="left, top, right and bottom in the PNG")
    row: str = Field(default="", description="title of the row that begins with this picture")
    caption: str = ""
    wrong: bool = False
    name: str = Field(default="", description="of the picture's file")


class Grid(BaseModel):
    """Where the pictures of a PNG lie, row by row, and what stands with them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[str, ...] = Field(default=(), description="titles; without any, rows may be broken anywhere")
    width: int = Field(description="of a column, in pixels of the PNG")
    cells: tuple[Cell, ...]
    legend: tuple[Entry, ...] = ()


def read_grid(image: Image.Image) -> Grid | None:
    """Return what a PNG notes of its pictures; None where it notes nothing, or something that it does not hold."""
    try:
        grid = Grid.model_validate_json(image.info.get(_KEY, ""))
    except ValidationError:
        return None
    boxes = np.array([cell.box for cell in grid.cells]).reshape(-1, 2, 2)  # (N, start and end, x and y)
    sides = boxes[:, 1] - boxes[:, 0]
    inside = (boxes >= 0).all() and (boxes <= image.size).all() and (sides > 0).all()
    return grid if inside and sides.prod(1).sum() <= image.width * image.height else None


def picture_grid(
    rows: Sequence[Sequence[NDArray[Any]]],
    column_titles: Sequence[str],
    row_titles: Sequence[str] | None = None,
    max_px: int = WIDTH,
    legend: Sequence[Entry] = (),
) -> bytes:
    """Return a PNG of rows of pictures under their column titles, at most `max_px` wide.

    Small pictures are enlarged by whole factors, each pixel a crisp square; large ones are reduced. A row's
    title stands above it, and below all rows a legend of texts and colours (#rrggbb, or empty for what is clear).
    """
    if not rows or not column_titles:
        raise ValueError("a picture grid needs at least one row and one column")
    if any(len(row) > len(column_titles) or (any(column_titles) and len(row) < len(column_titles)) for row in rows):
        raise ValueError(f"each row needs {len(column_titles)} pictures, one per column title")
    box = min(_BOX, _box(max_px, len(column_titles)))
    if box < 1:
        raise ValueError(f"{len(column_titles)} columns do not fit into max_px ({max_px})")
    cells = [[(as_rgb(picture), "", False, "") for picture in row] for row in rows]
    return _sheet(box, column_titles, row_titles or [""] * len(rows), cells, legend)


def contact_sheet(
    pictures: Sequence[NDArray[Any]],
    captions: Sequence[str],
    wrong: Sequence[bool | None] | None = None,
    keys: Sequence[str] = (),
    *,
    large: bool = False,
) -> bytes:
    """Return a PNG of the first 36 pictures, each over its caption, such as class and probability.

    `wrong` is True where the prediction is known to be wrong (a red frame and the word), None where the truth
    is unknown. The last part of a key, such as a file's name, stands below. Small pictures stand six in a row, others
    and `large` ones four.
    """
    if not len(pictures):
        raise ValueError("a contact sheet needs at least one picture")
    marks = [mark is True for mark in wrong] if wrong is not None else [False] * len(pictures)
    names = [key.rpartition("/")[2] for key in keys] or [""] * len(pictures)
    first = [*zip(map(as_rgb, pictures), captions, marks, names, strict=True)][:SHEET_SIZE]
    columns = 6 if not large and all(max(pixels.shape) <= _TINY for pixels, *_ in first) else 4
    rows = [first[start : start + columns] for start in range(0, len(first), columns)]
    return _sheet(_box(WIDTH, columns), [""] * min(columns, len(first)), [""] * len(rows), rows)


def _sheet(
    box: int,
    column_titles: Sequence[str],
    row_titles: Sequence[str],
    rows: Sequence[Sequence[_Picture]],
    legend: Sequence[Entry] = (),
) -> bytes:
    """Return a PNG of pictures in columns `box` wide, which notes where they lie and what stands with them."""
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    width = 2 * _MARGIN + len(column_titles) * (box + _GAP) - _GAP
    longest = 6 * _line(TEXT) + len(rows) * (box + 8 * _line(SMALL)) + len(legend) * 2 * _line(SMALL)
    image = Image.new("RGB", (width, longest), "white")
    pen = ImageDraw.Draw(image)

    def write(lines: Sequence[str], x: int, y: int, size: int = SMALL, colour: str = INK) -> int:
        """Write lines from `y` on; return where they end."""
        for line in lines:
            pen.text((x, y), line, font=font(size), fill=colour)
            y += _line(size)
        return y

    lefts = range(_MARGIN, width - _MARGIN, box + _GAP)
    titles = [wrapped(title, TEXT, box, lines=4) for title in column_titles]
    deepest = max(map(len, titles))
    for left, lines in zip(lefts, titles, strict=True):
        write(lines, left, _MARGIN + (deepest - len(lines)) * _line(TEXT), TEXT)
    y = _MARGIN + deepest * _line(TEXT) + (_GAP // 2 if deepest else 0)

    cells: list[Cell] = []
    for title, row in zip(row_titles, rows, strict=True):
        top = write(wrapped(title, SMALL, width - 2 * _MARGIN, lines=2), _MARGIN, y, colour=QUIET)
        for number, (left, (pixels, caption, wrong, name)) in enumerate(zip(lefts, row, strict=False)):
            picture = Image.fromarray(_fit(pixels, box))
            place = (left, top, left + picture.width, top + picture.height)
            image.paste(picture, place)
            if wrong:
                pen.rectangle((*place[:2], place[2] - 1, place[3] - 1), outline=_WRONG, width=_FRAME)
            bottom = write(wrapped(caption, SMALL, box, lines=3), left, place[3] + _GAP // 4)
            bottom = write(["wrong"] if wrong else [], left, bottom, colour=_WRONG)
            bottom = write([fitted(name, SMALL, box)] if name else [], left, bottom, colour=QUIET)
            y = max(y, bottom + 3 * _GAP // 4)
            texts = {"row": "" if number else title, "caption": caption, "name": name}
            cells.append(Cell(box=place, wrong=wrong, **{key: one_line(text) for key, text in texts.items()}))
    bottom = write_legend(pen, legend, y, width) if legend else y
    columns = [*map(one_line, column_titles)] if any(column_titles) else []
    entries = [(one_line(text), colour) for text, colour in legend]
    grid = Grid(columns=tuple(columns), width=box, cells=tuple(cells), legend=tuple(entries))
    note = PngInfo()
    note.add_text(_KEY, grid.model_dump_json(exclude_defaults=True))
    return encode_png(
        image.crop((0, 0, width, bottom + _MARGIN)), compress_level=_COMPRESSION, dpi=(DPI, DPI), pnginfo=note
    )


def write_legend(pen: ImageDraw.ImageDraw, entries: Sequence[Entry], top: int, width: int, size: int = SMALL) -> int:
    """Write colours and texts from `top` on, in as many lines as they need; return where these end."""
    margin, line = size, round(1.7 * size)
    x, y = margin, top + margin
    for entry, colour in entries:
        text = fitted(entry, size, width - 2 * margin - line)
        length = line + round(font(size).getlength(text))
        if x > margin and x + length > width - margin:
            x, y = margin, y + line
        swatch = (x, y, x + size, y + size)
        pen.rectangle(swatch, fill=colour or "white", outline=RULE, width=max(1, size // 14))
        pen.text((x + line, y + size / 2), text, font=font(size), fill=INK if colour else QUIET, anchor="lm")
        x += length + round(1.2 * size)
    return y + line + margin // 2


def _box(width: int, columns: int) -> int:
    """Return the side of the square that each of `columns` pictures has."""
    return (width - 2 * _MARGIN + _GAP) // columns - _GAP


def _line(size: int) -> int:
    return round(1.25 * size)


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
    """Return a picture whose longer side fits `box`, enlarged by the largest whole factor, or reduced."""
    from PIL import Image

    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer <= box:
        factor = box // longer
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    size = max(1, round(width * box / longer)), max(1, round(height * box / longer))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
