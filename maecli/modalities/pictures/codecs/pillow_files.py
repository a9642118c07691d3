"""Pictures that Pillow decodes: their modes as channels, alpha on white, and what their headers say of their numbers.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.pictures.bands import averaging, collected
from maecli.modalities.pictures.codecs.decoder_bounds import check_scans
from maecli.modalities.pictures.codecs.header import Nothing, PictureInfo, check_size, upright
from maecli.modalities.pictures.codecs.nodata import GDAL_NODATA, PHOTOMETRIC, bits_in, nodata_in
from maecli.modalities.pictures.codecs.orientation import orientation_of
from maecli.modalities.pictures.codecs.tiff_colours import WHITE_IS_ZERO, turned_around

if TYPE_CHECKING:
    from PIL import Image

PNG_HEAD = 4096
"""Bytes of a PNG in which its significant bits are looked for."""

_MODES: dict[str, tuple[int, bool, str]] = {
    "1": (1, False, "uint8"),
    "L": (1, False, "uint8"),
    "LA": (1, True, "uint8"),
    "La": (1, True, "uint8"),
    "P": (3, False, "uint8"),
    "PA": (3, True, "uint8"),
    "RGB": (3, False, "uint8"),
    "RGBX": (4, False, "uint8"),
    "RGBA": (3, True, "uint8"),
    "RGBa": (3, True, "uint8"),
    "CMYK": (3, False, "uint8"),
    "YCbCr": (3, False, "uint8"),
    "LAB": (3, False, "uint8"),
    "I;16": (1, False, "uint16"),
    "I;16B": (1, False, "uint16"),
    "I": (1, False, "int32"),
    "F": (1, False, "float32"),
}
"""Pillow's mode → channels, alpha, dtype."""


class PillowFile:
    """A picture that Pillow decodes."""

    def __init__(
        self,
        image: Image.Image,
        max_pixels: int,
        name: str,
        *,
        four_bands: bool = False,
        bits: tuple[int, ...] = (),
        frames: bool = False,
        black: float | None = None,
    ) -> None:
        """Take an opened picture.

        One of `four_bands` has no alpha, whatever Pillow takes the fourth for; of one of several `frames` the others
        are not read; `bits` are those of its values, of which its decoder may give fewer; `black` is the number that
        stands for black where 0 is white and Pillow leaves it so.
        """
        if image.mode not in _MODES:
            raise BrokenSample(name, f"has the colour mode {image.mode}, which is not supported")
        check_size(name, (image.height, image.width), max_pixels)
        channels, alpha, dtype = _MODES[image.mode]
        if four_bands:
            channels, alpha = 4, False
            image._mode = "RGBX" if image.mode == "RGB" else image.mode  # in which Pillow decodes the fourth, too
        self.orientation = orientation_of(image)
        """By what is known before the pixels are decoded: a note behind those of a PNG does not count."""
        self.image, self.max_pixels, self.name, self.black = image, max_pixels, name, black
        self.info = PictureInfo(
            size=(image.width, image.height) if self.orientation >= 5 else (image.height, image.width),
            channels=channels,
            dtype=dtype,
            alpha=alpha or (image.mode == "P" and "transparency" in image.info),
            upper_bits=(dtype == "uint8" and max(bits, default=8) > 8)
            or any(str(tile.args) in ("RGB;16B", "RGBA;16B", "LA;16B") for tile in getattr(image, "tile", ())),
            frames=frames,
            nodata=_pillow_nodata(image, np.dtype(dtype), black) if image.format == "TIFF" else None,
            bits=_pillow_bits(image) if dtype == "uint16" else None,
        )

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        image = self.image
        if image.format == "JPEG":
            check_scans(image, self.max_pixels, self.name)
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        if keep_alpha and image.format == "TIFF":
            _take_as_stored(image)
        image.load()
        size, channels = (image.height, image.width), self.info.channels + (self.info.alpha and keep_alpha)
        factors = averaging(channels, size, at_least)

        def read(rows: slice) -> np.ndarray:
            whole = rows.stop - rows.start == image.height
            part = image if whole else image.crop((0, rows.start, image.width, rows.stop))
            return self._pixels(part, keep_alpha)

        pixels = collected(read, channels, size, factors)
        return np.asarray(upright(pixels, self.orientation), dtype=self.info.dtype)

    def _pixels(self, image: Image.Image, keep_alpha: bool) -> np.ndarray:
        """Return the (C, h, w) of some rows."""
        if self.info.alpha:
            image = image.convert("LA" if self.info.channels == 1 else "RGBA")
            image = image if keep_alpha else _on_white(image)
        elif image.mode == "1" or self.info.channels == 3:
            image = image.convert("L" if image.mode == "1" else "RGB")
        pixels = np.asarray(image)
        if self.black is not None:
            pixels = turned_around(pixels, self.black)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _pillow_nodata(image: Image.Image, dtype: np.dtype, black: float | None) -> Nothing | None:
    """Return what a TIFF's header names as nothing, in terms of its pixels as they are decoded."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or GDAL_NODATA not in tags:
        return None
    value = nodata_in(tags[GDAL_NODATA], np.dtype(bool) if image.mode == "1" else dtype)
    if value is None or dtype.kind == "f":
        return value
    if image.mode == "P":
        colour = (image.getpalette("RGB") or [])[3 * int(value) :][:3]
        return (colour[0], colour[1], colour[2]) if len(colour) == 3 else None
    value = 255 * value if image.mode == "1" else value
    black = 255 if image.mode in ("1", "L") and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else black
    return value if black is None else black - value


def _pillow_bits(image: Image.Image) -> int | None:
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        return bits_in(tags)
    return png_bits(image) if image.format == "PNG" else None


def png_bits(image: Image.Image) -> int | None:
    """Return the bits that a PNG's header calls significant (PNG, 11.3.2.7), where they are fewer than 16."""
    file: BinaryIO = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    head, found, rest = file.read(PNG_HEAD).partition(b"sBIT")
    file.seek(place)
    return rest[0] if found and rest and b"IDAT" not in head and 8 <= rest[0] < 16 else None


def _take_as_stored(image: Image.Image) -> None:
    """Let Pillow leave the colours of a TIFF alone that are multiplied by alpha, instead of dividing them by it."""
    tiles = getattr(image, "tile", ())
    stored = [tile._replace(args=tuple("RGBA" if part == "RGBa" else part for part in tile.args)) for tile in tiles]
    image.tile = stored  # type: ignore[attr-defined]


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    colour = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, colour).convert("L" if image.mode == "LA" else "RGB")
