"""The picture formats that are read: what people call them, how their names end, and what their first bytes are.

One table, from which come the suffixes that are looked for, what is said of a file that is none of them, and the page
on folders. Nothing is loaded here that decodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

START = 132
"""Bytes that tell the format of a file."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """A format of picture files."""

    title: str
    suffixes: tuple[str, ...]
    start: re.Pattern[bytes]
    """What a file of it begins with."""
    note: str = ""
    """What a person may want to know of how it is read."""
    extra: str = ""
    """The extra of this package that it needs, where it does."""


def _begins(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


NPY = ".npy"
PICTURE_FORMATS = (
    PictureFormat(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".jpg_large", ".mpo"),
        _begins(rb"\xff\xd8\xff"),
        "the first picture, where a phone put several into one file",
    ),
    PictureFormat(
        "PNG",
        (".png", ".apng"),
        _begins(rb"\x89PNG\r\n\x1a\n"),
        "the first picture of an animation; 8 and 16 bits",
    ),
    PictureFormat(
        "GIF",
        (".gif",),
        _begins(rb"GIF8[79]a"),
        "the first picture of an animation, on its canvas; what it leaves open is transparent",
    ),
    PictureFormat("WebP", (".webp",), _begins(rb"RIFF....WEBP"), "the first picture of an animation"),
    PictureFormat(
        "AVIF",
        (".avif", ".avifs"),
        _begins(rb"....ftyp(?:avi[fs]|m[is]f1....(?:....){0,20}?avi[fs])"),
        "the first picture of a sequence; 10 and 12 bits at the upper 8",
    ),
    PictureFormat(
        "HEIC",
        (".heic", ".heif", ".hif"),
        _begins(rb"....ftyp(?:he[iv][cmsx]|m[is]f1)"),
        "the main picture; 10 and 12 bits as 16",
        extra="heif",
    ),
    PictureFormat(
        "JPEG 2000",
        (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        _begins(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
        "grey, colour, and alpha; grey of 9 to 16 bits as 16, colour at the upper 8",
    ),
    PictureFormat(
        "Netpbm",
        (".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"),
        _begins(rb"P[1-6]\s+[\d#]|P7\n\s*(?:WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE|#)|P[Ff]\s+\d+\s+\d"),
        "PPM, PGM, PBM, PAM, PFM; the greatest value that the file names becomes 255, or 65535 if it is above 255",
    ),
    PictureFormat(
        "BMP", (".bmp", ".dib"), _begins(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"), "also of runs"
    ),
    PictureFormat(
        "TIFF",
        (".tif", ".tiff", ".btf", ".tf8"),
        _begins(rb"II[*+]\0|MM\0[*+]"),
        "any number of channels; the first page that is no thumbnail, unless the file says that its pages are channels",
    ),
    PictureFormat(NPY, (NPY,), _begins(rb"\x93NUMPY"), "an array (H, W), (H, W, C) or (C, H, W)"),
)

PICTURE_SUFFIXES = frozenset(suffix for kind in PICTURE_FORMATS for suffix in kind.suffixes)

_OTHER_CONTENT = (
    (_begins(rb"version https://git-lfs"), "a pointer of Git LFS and not the picture: git lfs pull fetches it"),
    (_begins(rb"\s*<(?i:!doctype\s+html|html)"), "a web page and not the picture: it was not downloaded"),
    (_begins(rb"\s*<(?:svg|\?xml)"), "an SVG drawing or other XML"),
    (_begins(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL file"),
    (_begins(rb"8BPS"), "a Photoshop file"),
    (_begins(rb"%PDF"), "a PDF file"),
    (_begins(rb"%!PS|\xc5\xd0\xd3\xc6"), "a PostScript file"),
    (_begins(rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0"), "an icon (ICO)"),
    (_begins(rb"DDS "), "a DDS texture"),
    (_begins(rb"qoif"), "a QOI file"),
    (_begins(rb"v/1\x01"), "an OpenEXR file"),
    (_begins(rb"#\?(?:RADIANCE|RGBE)"), "a Radiance HDR file"),
    (_begins(rb"SIMPLE  ="), "a FITS file"),
    (_begins(rb".{128}DICM"), "a DICOM file"),
    (_begins(rb"II\x1a\0\0\0HEAPCCDR|IIRO|IIU\0|FUJIFILMCCD"), "raw data of a camera"),
    (_begins(rb"....ftypcrx "), "raw data of a camera"),
    (_begins(rb"....ftyp"), "a film (MP4, MOV) or another file of its kind"),
    (_begins(rb"PK\x03\x04"), "a ZIP archive: unpack it"),
    (_begins(rb"\x1f\x8b"), "a gzip archive: unpack it"),
)
"""What a file may be that is named as a picture."""


def format_of(start: bytes) -> PictureFormat | None:
    """Return the format of a file by its first bytes (`START` of them, or all), None if it is not read."""
    return next((kind for kind in PICTURE_FORMATS if kind.start.match(start)), None)


def is_picture_content(path: Path) -> bool:
    """Whether a file begins as a picture does that is read, whatever it is called; arrays are not told apart so."""
    try:
        with path.open("rb") as file:
            kind = format_of(file.read(START))
    except OSError:
        return False
    return kind is not None and kind.title != NPY


def why_unknown(start: bytes) -> str:
    """Return what to say of a file whose first bytes are of no format that is read."""
    for pattern, what in _OTHER_CONTENT:
        if pattern.match(start):
            return f"is {what}"
    *titles, last = (kind.title for kind in PICTURE_FORMATS)
    return f"not a {', '.join(titles)} or {last} file"
