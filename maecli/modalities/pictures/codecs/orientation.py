"""How a picture is to be turned: the one EXIF tag that is used, read without believing what the others ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112
_FORMS = {3: 2, 4: 4, 8: 2, 9: 4}
"""TIFF's types of whole numbers, and their bytes."""
_IN_XMP = rb'tiff:Orientation(?:="|>)([0-9])'


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or it cannot be read.

    A damaged note beside the pixels is no reason to lose the picture. Pillow would read every value that the note
    lists, and a note of a megabyte can list gigabytes.
    """
    if image.format == "TIFF":
        return 1  # Pillow tells the upright size, and turns the pixels itself
    note = image.info.get("exif")
    if note is None and "Raw profile type exif" in image.info:
        note = _unhexed(str(image.info["Raw profile type exif"]))
    if note is None and image.format == "PNG":
        return _known(_in_xmp(image))  # Pillow would decode the pixels to look for a note behind them
    if note is None:
        return _known(image.getexif().get(ORIENTATION))  # without a note: XMP, or what a person has set
    return _known(_in_note(bytes(note)) or _in_xmp(image))


def _known(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _unhexed(text: str) -> bytes:
    """Return the note that ImageMagick writes into a PNG as text: three lines, then hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return b""


def _in_note(note: bytes) -> int | None:
    """Return the orientation that the first list of tags of an EXIF note gives, if it does (Exif 2.32, 4.5.2)."""
    note = re.sub(rb"^(Exif\0\0){1,2}", b"", note)
    if note[:2] not in (b"II", b"MM"):
        return None
    order: Literal["little", "big"] = "little" if note.startswith(b"II") else "big"
    start = int.from_bytes(note[4:8], order)
    num = int.from_bytes(note[start : start + 2], order)
    value = None
    for at in range(start + 2, min(start + 2 + 12 * num, len(note) - 11), 12):
        if int.from_bytes(note[at : at + 2], order) == ORIENTATION:
            size = _FORMS.get(int.from_bytes(note[at + 2 : at + 4], order))
            if size is not None and int.from_bytes(note[at + 4 : at + 8], order) == 1:
                value = int.from_bytes(note[at + 8 : at + 8 + size], order)
    return value


def _in_xmp(image: Image.Image) -> int | None:
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    match = re.search(_IN_XMP, xmp.encode() if isinstance(xmp, str) else bytes(xmp))
    return int(match[1]) if match else None
