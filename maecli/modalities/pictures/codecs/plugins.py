"""Pillow's own classes of the formats, with what they leave open or do too much of.

They are used directly, not through `Image.open`, whose own bound on the number of pixels is one for the whole process.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MAX_GIF_BLOCKS = 2**17
"""Blocks of 255 bytes of a GIF's first picture that are passed over to see whether another follows."""


@functools.cache
def pillow_plugins() -> Mapping[str, Callable[[Any], ImageFile]]:
    """Return what opens a file, by the title of its format."""
    from PIL import (
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        WebPImagePlugin,
    )

    class Jpeg(JpegImagePlugin.JpegImageFile):
        def _read_dpi_from_exif(self) -> None:
            """Leave the note unread: see `orientation_of`."""

    class Gif(GifImagePlugin.GifImageFile):
        """What the first picture leaves open of its canvas is transparent, as browsers show it."""

        def _open(self) -> None:
            super()._open()
            (self._place,) = (tile[1] for tile in self.tile)
            self._leaves_open = self._place != (0, 0, *self.size)
            self._hidden = self.info.get("transparency")
            if self._leaves_open:
                self._mode = "RGBA"

        def load_end(self) -> None:
            super().load_end()
            if not self._leaves_open:
                return
            if self._hidden is not None and self.mode == "P":
                self.im.putpalettealpha(self._hidden, 0)
            from PIL import Image

            canvas = Image.new("RGBA", self.size)
            canvas.paste(Image.Image()._new(self.im.convert("RGBA")).crop(self._place), self._place)
            self.im, self._mode = canvas.im, "RGBA"
            self.info.pop("transparency", None)

    class Avif(AvifImagePlugin.AvifImageFile):
        """By one thread, and without reading the EXIF note, of which Pillow would read every value."""

        def _open(self) -> None:
            from PIL import _avif

            assert self.fp is not None
            self._decoder = _avif.AvifDecoder(self.fp.read(), "auto", 1)
            self._size, self.n_frames, self._mode, _, _, orientation, _ = self._decoder.get_info()
            self.is_animated = self.n_frames > 1
            self.info["exif"] = _note(orientation)
            self.seek(0)

    return {
        "JPEG": Jpeg,
        "PNG": PngImagePlugin.PngImageFile,
        "GIF": Gif,
        "WebP": WebPImagePlugin.WebPImageFile,
        "AVIF": Avif,
        "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
    }


def _note(orientation: int) -> bytes:
    """Return an EXIF note that tells an orientation and nothing else."""
    return b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def is_first_of_several(image: ImageFile) -> bool:
    """Whether an opened file holds more pictures than the one that is read."""
    if image.format == "GIF":
        return _another_gif_picture(image)
    return bool(getattr(image, "is_animated", False)) or (image.format == "JPEG" and "mp" in image.info)


def _another_gif_picture(image: ImageFile) -> bool:
    """Whether a picture follows the first one (GIF89a, section 20), without decoding it."""
    file = image.fp
    assert file is not None
    here = file.tell()
    file.seek(image.tile[0].offset)
    blocks = 0
    try:
        while (introducer := _after_blocks(file)) == b"!" and blocks < MAX_GIF_BLOCKS:
            file.seek(1, 1)
            blocks += 1
        return introducer == b","
    finally:
        file.seek(here)


def _after_blocks(file: Any) -> bytes:
    """Pass over blocks of data up to the empty one; return the byte behind it."""
    for _ in range(MAX_GIF_BLOCKS):
        length = file.read(1)
        if not length or not length[0]:
            break
        file.seek(length[0], 1)
    else:
        return b""
    return bytes(file.read(1))
