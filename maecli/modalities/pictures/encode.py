"""A sample of pictures as a file again: as it lies, or smaller.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import numpy as np

from maecli.data.sample import Split
from maecli.errors import BrokenSample
from maecli.modalities.files import reading
from maecli.modalities.pictures.picture_files import PictureFiles

JPEG, QUALITY = (".jpg", ".jpeg"), 95


def file_of(split: Split, index: int, max_side: int | None = None) -> tuple[str, bytes]:
    """Return how the name of a sample's file ends, with its dot, and what it holds.

    A picture that comes from a file is that file, unless a side of it is over `max_side`: it is then resized to that,
    and written as JPEG (quality 95) if it was one, else as PNG, which samples become that come from no file.
    Raises `BrokenSample`.
    """
    key = split.keys[index]
    suffix = PurePosixPath(key).suffix.lower()
    if isinstance(split, PictureFiles) and (max_side is None or max(split.size(index)) <= max_side):
        place = split.place(index)
        with reading(key):
            return suffix, place.read_bytes() if isinstance(place, Path) else place.data
    return _encoded(key, split[index]["image"], suffix if suffix in JPEG else ".png", max_side)


def _encoded(key: str, image: np.ndarray, suffix: str, max_side: int | None) -> tuple[str, bytes]:
    """Return an image (C, H, W) as a file of 8 bits. Raises `BrokenSample` where it is none."""
    from PIL import Image

    if image.dtype != np.uint8 or len(image) not in (1, 3, 4):
        reason = f"has {len(image)} channels of {image.dtype}, of which no picture file can be written without loss"
        raise BrokenSample(key, reason)
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)).squeeze())
    if max_side is not None and max(picture.size) > max_side:
        picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    if suffix in JPEG and len(image) < 4:
        picture.save(buffer, "JPEG", quality=QUALITY)
    else:
        suffix = ".png"
        picture.save(buffer, "PNG")
    return suffix, buffer.getvalue()
