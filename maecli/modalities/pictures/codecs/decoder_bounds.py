"""What keeps the libraries that decode pictures within bounds of time and memory, where they have none of their own."""

from __future__ import annotations

import functools
import importlib.util
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.header import file_size

if TYPE_CHECKING:
    from PIL import Image

MAX_HEADER_READS = 2**12
"""Pieces that a header may be read in: every marker of a JPEG, every chunk of a PNG before its pixels is a few."""
LONG_READ = 2**16
SCANNED = 32
"""How many times `max_pixels` the scans of a JPEG may go over, all together: progressive ones have about ten scans."""
MAX_SCANS = 1000
MAX_RLE_PIXELS = 2**24
"""Pixels of a BMP of runs, which Pillow decodes one by one in Python."""
MAX_LZMA_BYTES = 2**28
"""Memory that a stream of LZMA may ask for to be decompressed."""

_NEXT_MARKER = re.compile(rb"\xff[^\0\xd0-\xd7\xff]")
_SOS, _EOI = 0xDA, 0xD9


class FewReads:
    """An open file that may be read in so many pieces until the block is left, and never beyond its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, float(MAX_HEADER_READS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._left = float("inf")

    def read(self, num: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise BrokenSample(self._file.name, f"damaged file: its header has over {MAX_HEADER_READS:,} pieces")
        if num > LONG_READ:  # Python sets the memory aside before it looks what is there
            num = min(num, max(0, file_size(self._file) - self._file.tell()))
        return self._file.read(num)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def check_runs(image: Image.Image, name: str) -> None:
    """Raise `BrokenSample` for a BMP of runs that is too large for Pillow's decoder of them."""
    runs = any(tile[0] == "bmp_rle" for tile in getattr(image, "tile", ()))
    if runs and image.width * image.height > MAX_RLE_PIXELS:
        raise BrokenSample(name, f"is a BMP of runs (RLE) of more than {MAX_RLE_PIXELS:,} pixels; save it as PNG")


def check_scans(image: Image.Image, max_pixels: int, name: str) -> None:
    """Raise `BrokenSample` for a JPEG that goes over its pixels too often: empty scans cost as much as full ones."""
    file = getattr(image, "fp", None)
    if file is None:
        return  # it was decoded already
    layers = int(getattr(image, "layers", 0))
    scan = b"\xff\xda" + (6 + 2 * layers).to_bytes(2, "big") + bytes([layers])
    here = file.tell()
    file.seek(max(0, here - 8 - 2 * layers))
    single = not image.info.get("progressive") and file.read(len(scan)) == scan
    if not single:
        file.seek(0)
        most = min(MAX_SCANS, max(SCANNED, SCANNED * max_pixels // (image.width * image.height)))
        if _num_scans(file.read(), most) > most:
            raise BrokenSample(name, f"damaged file: more than {most:,} scans of {image.width}×{image.height} pixels")
    file.seek(here)


def _num_scans(data: bytes, most: int) -> int:
    """Return how often a JPEG goes over its pixels, as far as `most` + 1 (ISO 10918-1, annex B)."""
    at, scans = 2, 0
    while scans <= most and (marker := _NEXT_MARKER.search(data, at)):
        kind, at = data[marker.end() - 1], marker.end()
        if kind == _EOI:
            break
        if kind > 1 and kind != 0xD8:
            scans += kind == _SOS
            at += int.from_bytes(data[at : at + 2], "big")
    return scans


def bound_codecs(codecs: Any) -> None:
    """Let tifffile decompress no more than a strip or tile is to hold.

    Without the package imagecodecs it uses decompressors of its own, which take no notice of that number.
    """
    codecs._codecs.update(_own_codecs())


@functools.cache
def _own_codecs() -> Mapping[int, Callable[..., bytes]]:
    if importlib.util.find_spec("imagecodecs") is not None:
        return {}
    deflate = dict.fromkeys((8, 32946, 50013), _inflate)
    zstd = {50000: _unzstd} if importlib.util.find_spec("compression") is not None else {}
    return {**deflate, 34925: _unlzma, 32773: _unpack, **zstd}


def _inflate(data: bytes, /, *, out: int) -> bytes:
    stream = zlib.decompressobj()

    def decompress(part: bytes, most: int) -> bytes:
        return stream.decompress(part or stream.unconsumed_tail, most)

    return _taken(decompress, lambda: stream.eof, data, out)


def _unlzma(data: bytes, /, *, out: int) -> bytes:
    stream = lzma.LZMADecompressor(memlimit=MAX_LZMA_BYTES)
    return _taken(stream.decompress, lambda: stream.eof, data, out)


def _unzstd(data: bytes, /, *, out: int) -> bytes:
    from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # of Python 3.14

    stream = zstd.ZstdDecompressor()
    return _taken(stream.decompress, lambda: bool(stream.eof), data, out)


def _taken(decompress: Callable[[bytes, int], bytes], ended: Callable[[], bool], data: bytes, out: int) -> bytes:
    """Return up to `out` bytes; a stream that ends sooner without its end, or with a wrong checksum, is damaged."""
    parts = [decompress(data, out)] if out else []
    while parts and parts[-1] and not ended() and sum(map(len, parts)) < out:
        parts.append(decompress(b"", out - sum(map(len, parts))))
    if not ended():
        longer = decompress(b"", 1)  # reads what stands behind the last byte: the checksum
        if not longer and not ended():
            raise EOFError("truncated strip or tile")
    return b"".join(parts)


def _unpack(data: bytes, /, *, out: int) -> bytes:
    """Return up to `out` bytes of PackBits (TIFF 6.0, section 9)."""
    unpacked, at = bytearray(), 0
    while at < len(data) and len(unpacked) < out:
        num = data[at]
        if num > 128:
            unpacked += data[at + 1 : at + 2] * (257 - num)
            at += 2
        elif num < 128:
            unpacked += data[at + 1 : at + 2 + num]
            at += 2 + num
        else:
            at += 1
    return bytes(unpacked)
