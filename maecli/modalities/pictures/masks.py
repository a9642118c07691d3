"""Masks: one class number per pixel, in files and as colours. Pillow is loaded when a file is read or written.

Shapes: H, W height and width, Q classes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.pictures.bands import bands
from maecli.modalities.pictures.decoder_bounds import FewReads
from maecli.modalities.pictures.read import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

VOID = 255
"""The number of pixels that are not judged: borders in VOC, padding."""

Palette = Sequence[tuple[int, int, int]]

_GREY_STEPS = {"L;2": 85, "L;4": 17}
"""Pillow spreads grey of 2 and 4 bits over 0 to 255; dividing brings the numbers back."""


def class_palette(num_classes: int) -> tuple[tuple[int, int, int], ...]:
    """Return VOC's colours (RGB) of the classes 0 to `num_classes` - 1, distinct for up to 256.

    Bit b of each triple of the number's bits becomes bit 7 - b of red, green and blue: the VOC devkit's colour map.
    """
    numbers = np.arange(num_classes)
    colours = np.zeros((num_classes, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * bit + channel)) & 1) << (7 - bit)
    return tuple((int(r), int(g), int(b)) for r, g, b in colours)


VOID_COLOUR = class_palette(256)[VOID]
"""(224, 224, 192), as VOC draws its borders."""


def read_mask(path: Path, num_classes: int, palette: Palette, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return a mask (H, W) uint8 of class numbers, 255 = void.

    Takes PNGs whose pixels are the numbers (palette or 8-bit grey; the palette's colours do not matter), and RGB
    ones whose colours are those of `palette`, or VOC's for void. Raises `BrokenSample` with the rule that is broken:
    a damaged file, too many pixels, a number without a class, a colour without a class.
    """
    from PIL import PngImagePlugin

    try:
        # Pillow's class and not `Image.open`, whose own bound on the number of pixels is one for the whole process
        with path.open("rb") as file, FewReads(file) as opening, PngImagePlugin.PngImageFile(opening) as image:
            if image.width * image.height > max_pixels:
                raise BrokenSample(str(path), f"mask of {image.width}×{image.height} is over {max_pixels:,} pixels")
            return _decoded(path, image, num_classes, palette)
    except (BrokenSample, MemoryError):
        raise
    except FileNotFoundError as error:
        raise BrokenSample(str(path), "no such mask") from error
    except Exception as error:  # decoders raise almost anything on damaged files
        empty = path.is_file() and path.stat().st_size == 0
        raise BrokenSample(str(path), "empty file" if empty else "mask is not a sound PNG") from error


def _decoded(path: Path, image: ImageFile, num_classes: int, palette: Palette) -> np.ndarray:
    """Return the numbers of an opened mask, a band of rows at a time."""
    step = _GREY_STEPS.get(str(image.tile[0].args), 1) if image.tile else 1
    image.load()
    mask = np.empty((image.height, image.width), np.uint8)
    counts = np.zeros(VOID + 1, np.int64)
    for rows in bands(image.height, len(image.getbands()) * image.width):
        whole = rows.stop - rows.start == image.height
        pixels = np.asarray(image if whole else image.crop((0, rows.start, image.width, rows.stop)))
        if image.mode in ("RGB", "RGBA"):
            mask[rows] = _from_colours(path, pixels[..., :3], palette)
        elif image.mode in ("P", "L", "1"):
            mask[rows] = pixels if step == 1 else pixels // step
            counts += np.bincount(mask[rows].ravel(), minlength=VOID + 1)
        else:
            raise BrokenSample(str(path), f"mask has mode {image.mode}; use a palette, 8-bit grey or RGB PNG")
    counts[: min(num_classes, VOID)] = counts[VOID] = 0
    if counts.any():
        raise BrokenSample(
            str(path),
            f"mask has the number {counts.argmax()}; classes are 0 to {num_classes - 1}, and {VOID} is void",
        )
    return mask


def _from_colours(path: Path, pixels: np.ndarray, palette: Palette) -> np.ndarray:
    weights = np.array([1 << 16, 1 << 8, 1])
    codes = pixels.astype(np.int64) @ weights  # (H, W)
    numbers = np.array([*range(len(palette)), VOID], np.uint8)
    known = np.array([*palette, VOID_COLOUR], np.int64) @ weights
    order = np.argsort(known)
    where = np.minimum(np.searchsorted(known[order], codes), len(known) - 1)
    wrong = known[order][where] != codes
    if wrong.any():
        red, green, blue = pixels[wrong][0].tolist()
        known_colours = ", ".join(str(colour) for colour in palette[:4])
        raise BrokenSample(
            str(path),
            f"mask has the colour ({red}, {green}, {blue}), which no class has; those of the classes 0, 1, … are "
            f"{known_colours}{', …' if len(palette) > 4 else ''}: use them, or write class numbers",
        )
    return numbers[order][where]


def mask_png(mask: np.ndarray, palette: Palette) -> bytes:
    """Return a palette PNG of a mask (H, W) whose pixels are the class numbers; of over 255 classes, 16-bit grey."""
    from PIL import Image

    height, width = mask.shape
    if len(palette) > VOID:
        image = Image.frombytes("I;16", (width, height), np.ascontiguousarray(mask, "<u2").tobytes())
    else:
        image = Image.frombytes("P", (width, height), np.ascontiguousarray(mask, np.uint8).tobytes())
        colours = [*palette, *[(0, 0, 0)] * (VOID - len(palette)), VOID_COLOUR]
        image.putpalette([value for colour in colours for value in colour])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
