"""What the header of a JPEG 2000 file asks for, looked at before OpenJPEG does what it asks.

Markers of the codestream are those of ISO 15444-1, annex A: SIZ is the picture and its tiles, COD how a tile is coded.
OpenJPEG sets a record aside for each tile, each precinct and each block of code, whatever stands in the file, and goes
over every packet (layer × component × resolution × precinct). Tiles may change what the main header says, so all
headers are read.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import BinaryIO

from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.header import check_size, file_size

MAX_TILES = 2**14
MAX_PACKETS = 2**22
"""Packets of all tiles."""
MAX_BLOCKS = 2**21
"""Blocks of code of all tiles and components."""
MAX_HEADER = 2**22
"""Bytes of the boxes before the codestream that describe it: a colour profile among them."""
MAX_BOXES = 2**10
MAX_MARKERS = 2**16

_SIGNATURE = b"\0\0\0\x0cjP  "
_SOC, _SOT, _SOD, _EOC, _SIZ, _COD, _COC = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9, 0xFF51, 0xFF52, 0xFF53


@dataclass(frozen=True, slots=True)
class Codestream:
    """The picture that a codestream says it is."""

    width: int
    height: int
    bits: tuple[int, ...]
    """Of each component."""
    tiles: int
    tile: tuple[int, int]
    """(H, W) of a tile within the picture."""


def check_codestream(file: BinaryIO, max_pixels: int) -> Codestream:
    """Return what the codestream of an open file says. Raises `BrokenSample` if decoding it would cost too much."""
    end = file_size(file)
    start = _codestream_start(file, end)
    file.seek(start)
    if file.read(2) != _SOC.to_bytes(2, "big"):
        raise BrokenSample(file.name, "damaged file: its codestream does not begin as one")
    stream: Codestream | None = None
    packets = blocks = markers = 0
    layers = 1
    at, part_end = start + 2, end
    while at + 2 <= end:
        markers += 1
        if markers > MAX_MARKERS:
            raise BrokenSample(file.name, f"damaged file: its headers have over {MAX_MARKERS:,} parts")
        file.seek(at)
        marker = int.from_bytes(file.read(2), "big")
        if marker == _EOC:
            break
        if marker == _SOD:
            at, part_end = part_end, end
            continue
        length = int.from_bytes(file.read(2), "big")
        body = file.read(max(0, length - 2)) if marker in (_SIZ, _COD, _COC, _SOT) else b""
        if marker == _SIZ and stream is None:
            stream = _size(body, file.name)
            check_size(file.name, (stream.height, stream.width), max_pixels)
        elif marker == _SOT:
            (num_bytes,) = struct.unpack_from(">I", body, 2)
            part_end = at + num_bytes if num_bytes >= 14 else end
        elif marker in (_COD, _COC) and stream is not None:
            if marker == _COD:
                layers = max(layers, int.from_bytes(body[2:4], "big"))
            precincts, part = _coding(body[5:] if marker == _COD else body[2:], body[marker == _COC] & 1, stream)
            packets, blocks = max(packets, layers * precincts), max(blocks, part)
            if packets > MAX_PACKETS or blocks > MAX_BLOCKS:
                raise BrokenSample(
                    file.name, f"damaged file: it asks for {packets:,} packets and {blocks:,} blocks of code"
                )
        elif length < 2 or marker < 0xFF00:
            break  # what OpenJPEG makes of it is no header
        at += 2 + max(2, length)
    if stream is None:
        raise BrokenSample(file.name, "truncated file")
    return stream


def _codestream_start(file: BinaryIO, end: int) -> int:
    """Return where the codestream begins: at once, or in a box (annex I)."""
    file.seek(0)
    if file.read(8) != _SIGNATURE:
        return 0
    at = 0
    for _ in range(MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        length, kind, large = *struct.unpack(">I4s", head[:8]), int.from_bytes(head[8:], "big")
        begin = at + (16 if length == 1 else 8)
        length = large if length == 1 else length or end - at
        if kind == b"jp2c":
            return begin
        if length < 8 or at + length > end or (kind == b"jp2h" and length > MAX_HEADER):
            break
        at += length
    raise BrokenSample(file.name, "damaged file: no picture is in its boxes")


def _size(body: bytes, name: str) -> Codestream:
    """Read SIZ (A.5.1)."""
    if len(body) < 39:
        raise EOFError
    _, right, below, left, top, tile_width, tile_height, tile_left, tile_top, num = struct.unpack_from(">H8IH", body)
    if num < 1 or len(body) < 36 + 3 * num or not (tile_width and tile_height):
        raise BrokenSample(name, "damaged file: its size is none")
    if right <= left or below <= top or tile_left > left or tile_top > top:
        raise BrokenSample(name, "has no pixels")
    tiles = math.ceil((right - tile_left) / tile_width) * math.ceil((below - tile_top) / tile_height)
    if tiles > MAX_TILES:
        raise BrokenSample(name, f"has {tiles:,} tiles, more than {MAX_TILES:,}")
    components = [body[36 + 3 * i : 39 + 3 * i] for i in range(num)]
    if num > 4:
        raise BrokenSample(name, f"has {num} channels in JPEG 2000, of which up to 4 are read; save it as TIFF")
    if any(part[1] != 1 or part[2] != 1 for part in components) and num < 3:
        raise BrokenSample(name, "has pixels of several sizes")
    bits = tuple((part[0] & 0x7F) + 1 for part in components)
    tile = (min(tile_height, below), min(tile_width, right))
    return Codestream(right - left, below - top, bits, tiles, tile)


def _coding(body: bytes, own_precincts: int, stream: Codestream) -> tuple[int, int]:
    """Return how many precincts and blocks there are if all tiles are coded as COD or COC says (A.6.1, A.6.2)."""
    levels, block_width, block_height = min(body[0], 32), 2 ** (body[1] % 16 + 2), 2 ** (body[2] % 16 + 2)
    precincts = blocks = 0
    for level in range(levels + 1):
        size = body[5 + level] if own_precincts and len(body) > 5 + level else 0xFF
        precinct_width, precinct_height = 2 ** (size & 15), 2 ** (size >> 4)
        height, width = (math.ceil(side / 2 ** (levels - level)) for side in stream.tile)
        here = (height // precinct_height + 1) * (width // precinct_width + 1)
        least = min(block_width, precinct_width) * min(block_height, precinct_height)
        precincts += here
        blocks += max(here, height * width // least)
    num = len(stream.bits) * stream.tiles
    return precincts * num, blocks * num
