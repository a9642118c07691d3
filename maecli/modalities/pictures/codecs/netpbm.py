"""Netpbm: PBM, PGM and PPM in text or bytes, PAM, and PFM of floats.

Pillow goes over the values of a file whose greatest one is not 255 one by one, and keeps 8 bits of colour. Source:
the formats' manual pages, https://netpbm.sourceforge.net/doc.

Shapes: C channels, alpha included, H height, W width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from maecli.errors import BrokenSample
from maecli.modalities.pictures.bands import by_bands
from maecli.modalities.pictures.codecs.header import PictureInfo, check_size, file_size, on_white, shrunk

MAX_HEADER = 2**16
"""Bytes before the pixels, comments included."""
_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]{1,20})(?=\s)")
_TEXT = {b"P1", b"P2", b"P3"}
_BITS = {b"P1", b"P4"}
_FLOATS = {b"Pf", b"PF"}
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"Pf": 1, b"PF": 3}


@dataclass(frozen=True, slots=True)
class _Header:
    kind: bytes
    width: int
    height: int
    channels: int
    maxval: float
    """The greatest value; of PFM the scale, whose sign tells the order of bytes."""
    alpha: bool
    end: int
    """Where the pixels begin."""

    @property
    def stored(self) -> np.dtype:
        if self.kind in _FLOATS:
            return np.dtype("<f4" if self.maxval < 0 else ">f4")
        return np.dtype("u1" if self.maxval < 256 else ">u2")

    @property
    def num_bytes(self) -> int:
        """Bytes that the pixels take, at least."""
        if self.kind == b"P4":
            return self.height * -(-self.width // 8)
        values = self.channels * self.height * self.width
        if self.kind in _TEXT:
            return values if self.kind == b"P1" else 2 * values - 1
        return values * self.stored.itemsize


class NetpbmFile:
    """A picture of one of these formats."""

    def __init__(self, file: BinaryIO, max_pixels: int) -> None:
        start = file.read(MAX_HEADER)
        header = _header(start, file.name)
        check_size(file.name, (header.height, header.width), max_pixels)
        if header.channels - header.alpha < 1:
            raise BrokenSample(file.name, "has no pixels")
        if file_size(file) < header.end + header.num_bytes:
            raise BrokenSample(file.name, "truncated file")
        self.file, self.header = file, header
        file.seek(header.end + header.num_bytes)
        self.info = PictureInfo(
            size=(header.height, header.width),
            channels=header.channels - header.alpha,
            dtype="float32" if header.kind in _FLOATS else f"uint{8 * header.stored.itemsize}",
            alpha=header.alpha,
            frames=header.kind not in _TEXT and file.read(2) == header.kind,
        )

    def decode(self, keep_alpha: bool, at_least: int | None, /) -> np.ndarray:
        header, name = self.header, self.file.name
        self.file.seek(header.end)
        if header.kind in _TEXT:
            pixels = _from_text(self.file.read(), header, name)
        elif header.kind == b"P4":
            rows = np.frombuffer(self.file.read(header.num_bytes), np.uint8).reshape(header.height, -1)
            pixels = np.unpackbits(rows, axis=1, count=header.width)[..., None] ^ 1
        else:
            values = np.frombuffer(self.file.read(header.num_bytes), header.stored)
            pixels = values.reshape(header.height, header.width, header.channels)
        if header.kind in _FLOATS:
            return shrunk(pixels[::-1].transpose(2, 0, 1), self.info, at_least)  # stored from the bottom up
        pixels = by_bands(lambda part: _full_range(part, header.maxval, name), pixels.transpose(2, 0, 1))
        if header.alpha and not keep_alpha:
            pixels = by_bands(on_white, pixels)
        return shrunk(pixels, self.info, at_least)


def _header(start: bytes, name: str) -> _Header:
    kind = start[:2]
    if kind == b"P7":
        return _pam_header(start, name)
    tokens = _tokens(start)
    width, height = (_number(*next(tokens), name) for _ in range(2))
    maxval, end = 1.0, width[1]
    if kind in _BITS:
        maxval, end = 1.0, height[1]
    elif kind in _FLOATS:
        text, end = next(tokens)
        maxval = float(text)
        if not np.isfinite(maxval) or maxval == 0:
            raise BrokenSample(name, f"damaged file: {text.decode('ascii', 'replace')} is no scale")
    else:
        number, end = _number(*next(tokens), name)
        maxval = _maxval(number, name)
    return _Header(kind, width[0], height[0], _CHANNELS[kind], maxval, False, end + 1)


def _pam_header(start: bytes, name: str) -> _Header:
    head, ended, _ = start.partition(b"\nENDHDR\n")
    if not ended:
        raise BrokenSample(name, "truncated file")
    lines = [line.split(None, 1) for line in head.split(b"\n")[1:] if line.strip() and not line.startswith(b"#")]
    fields = {line[0]: line[-1] for line in lines}
    sizes = [_number(fields.get(key, b""), 0, name)[0] for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")]
    width, height, channels, maxval = sizes
    alpha = fields.get(b"TUPLTYPE", b"").strip().endswith(b"_ALPHA")
    return _Header(b"P7", width, height, channels, _maxval(maxval, name), alpha, len(head) + len(ended))


def _tokens(start: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield what stands between blanks and comments behind the first two bytes, and where each ends."""
    at = 2
    while match := _TOKEN.match(start, at):
        at = match.end()
        yield match[1], at
    raise EOFError


def _number(text: bytes, end: int, name: str) -> tuple[int, int]:
    if not re.fullmatch(rb"\s*[0-9]{1,18}\s*", text):
        raise BrokenSample(name, f"damaged file: its header has {text[:20].decode('ascii', 'replace')!r} for a number")
    return int(text), end


def _maxval(number: int, name: str) -> float:
    if not 1 <= number <= 65535:
        raise BrokenSample(name, f"damaged file: {number} is no greatest value; from 1 to 65535 may be")
    return float(number)


def _from_text(data: bytes, header: _Header, name: str) -> np.ndarray:
    """Return the (H, W, C) that are written in digits."""
    data = re.sub(rb"#[^\n\r]*", b" ", data)
    count = header.channels * header.height * header.width
    if header.kind == b"P1":  # blanks between its digits may be left out
        digits = np.frombuffer(b"".join(data.split()), np.uint8)[:count]
        values = (digits == ord("0")).view(np.uint8)
        sound = bool(np.isin(digits, (48, 49)).all())
    else:
        sound = re.search(rb"[^0-9\s]|[0-9]{9}", data) is None
        values = np.fromstring(data, np.float64, sep=" ")[:count] if sound else np.empty(0)  # with a count it pads
    if not sound:
        raise BrokenSample(name, "damaged file: its pixels are no numbers")
    if len(values) < count:
        raise EOFError
    return values.reshape(header.height, header.width, header.channels)


def _full_range(pixels: np.ndarray, maxval: float, name: str) -> np.ndarray:
    """Scale values so that the greatest one that the file names is all that their bits can hold."""
    dtype, full = (np.uint8, 255) if maxval < 256 else (np.uint16, 65535)
    if maxval < full or pixels.dtype.kind == "f":
        if pixels.max(initial=0) > maxval:
            raise BrokenSample(name, f"damaged file: it holds {pixels.max():.0f}, and says that {maxval:.0f} is most")
        pixels = np.rint(pixels * (full / maxval))
    return pixels.astype(dtype)
