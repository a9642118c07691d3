"""What the page headers of a TIFF ask for, looked at before a library does what they ask.

Pages form a chain, and each may list pages of lower resolution; both are followed here by number and by place, so that
no loop is entered. Tables are counted, not read. Numbers of the libraries' own extensions (OME) are checked too, where
they say how long a list is to be made.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal
from xml.etree.ElementTree import Element, ParseError

from maecli.errors import BrokenSample

MAX_PAGES = 4096
"""Pages of a file, those of lower resolution included: channels of a hyperspectral picture fit in."""
MAX_ENTRIES = 2**23
"""Entries of all tables that become Python numbers, such as where strips begin: one row each of 200 channels fits."""
MAX_OME_PLANES = 2**20
"""Planes that an OME description may speak of: those of other files of its set count."""
SHARED_BYTES = 2**26
"""Bytes that tags may refer to beyond twice the file, since pages may share a colour profile."""
MAX_DEPTH = 8
"""Pages below a page below a page …"""
MIN_TILE = 2**24
"""Pixels that a tile may have in a smaller picture."""

_WIDTH, _LENGTH, _DESCRIPTION, _SAMPLES, _SUB_IFDS = 256, 257, 270, 277, 330
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_LAST_BASELINE = 700
"""Tags below are TIFF's own, whose tables are read as Python numbers."""
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each type."""
_WHOLE = re.compile(r"\s*[-+]?[0-9]{1,18}\s*")
_CODES = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Those that offsets and lengths are written as."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written: TIFF 6.0 or BigTIFF, in either byte order."""

    order: Literal["<", ">"]
    big: bool

    @property
    def counter(self) -> str:
        return f"{self.order}{'Q' if self.big else 'H'}"

    @property
    def offset(self) -> str:
        return f"{self.order}{'Q' if self.big else 'I'}"

    @property
    def entry(self) -> str:
        return f"{self.order}HHQ8s" if self.big else f"{self.order}HHI4s"


@dataclass(slots=True)
class _Asked:
    """What all pages together ask for."""

    pages: int = 0
    entries: int = 0
    num_bytes: int = 0
    smallest: int = 2**63
    """Pixels of the smallest page."""
    descriptions: list[bytes] = field(default_factory=list)
    """Those of the first page."""


class TiffPages:
    """The page headers of an open file."""

    def __init__(self, file: BinaryIO, end: int, max_pixels: int) -> None:
        self.file, self.end, self.max_pixels = file, end, max_pixels
        head = self._read(0, 16)
        self.layout = _Layout("<" if head.startswith(b"II") else ">", 43 in (head[2], head[3]))
        self.first = self._number(self.layout.offset, head[8:16] if self.layout.big else head[4:8])
        self.asked = _Asked()

    def check(self) -> None:
        """Raise `BrokenSample` if following the headers would not end, leave the file or cost too much."""
        seen: set[int] = set()
        offset = self.first
        if offset == 0:
            raise self._broken("has no page")
        while offset != 0:
            if offset in seen:
                raise self._broken("damaged file: the list of its pages leads back into itself")
            seen.add(offset)
            offset = self._page(offset, ())
        asked = self.asked
        if asked.num_bytes > 2 * self.end + SHARED_BYTES:
            raise self._broken(f"damaged file: its tags ask for {asked.num_bytes:,} bytes of a file of {self.end:,}")
        for description in asked.descriptions:
            if b"OME" in description[-64:]:
                self._check_ome(description)

    def _page(self, offset: int, above: tuple[int, ...]) -> int:
        """Count what one page asks for, and the pages below it; return where the next one begins."""
        self.asked.pages += 1
        if self.asked.pages > MAX_PAGES:
            raise self._broken(f"has more than {MAX_PAGES:,} pages; a picture's pages are its channels")
        counter, entry = struct.calcsize(self.layout.counter), struct.calcsize(self.layout.entry)
        num = self._number(self.layout.counter, self._read(offset, counter))
        after = offset + counter + num * entry
        width = struct.calcsize(self.layout.offset)
        if after + width > self.end:
            raise self._broken("truncated file")
        data = self._read(offset + counter, num * entry + width)
        sizes: dict[int, int] = {}
        below: list[int] = []
        for tag, kind, count, value in struct.iter_unpack(self.layout.entry, data[:-width]):
            self._count(tag, kind, count, value, sizes)
            if tag == _SUB_IFDS:
                below += self._values(kind, count, value)
            elif tag == _DESCRIPTION and self.asked.pages == 1:
                self.asked.descriptions.append(self._bytes(kind, count, value))
        self._check_tiles(sizes)
        if (pixels := sizes.get(_WIDTH, 0) * sizes.get(_LENGTH, 0)) > 0:
            self.asked.smallest = min(self.asked.smallest, pixels)
        above = (*above, offset)
        for sub in below:
            if sub in above or len(above) > MAX_DEPTH:
                raise self._broken("damaged file: a page is listed below itself")
            if 8 <= sub < self.end:
                self._page(sub, above)
        return self._number(self.layout.offset, data[-width:])

    def _count(self, tag: int, kind: int, count: int, value: bytes, sizes: dict[int, int]) -> None:
        """Add a tag's table to what is asked for; note the tags that are sizes."""
        num_bytes = count * _BYTES.get(kind, 0)
        if num_bytes > len(value):
            start = self._number(self.layout.offset, value)
            self.asked.num_bytes += min(num_bytes, max(0, self.end - start))
        if tag < _LAST_BASELINE and kind in _BYTES and kind not in (1, 2, 6, 7) and num_bytes <= self.end:
            self.asked.entries += count
            if self.asked.entries > MAX_ENTRIES:
                raise self._broken(f"has tables of more than {MAX_ENTRIES:,} entries, such as where strips begin")
        if tag in (_WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH) and count == 1:
            sizes[tag] = next(iter(self._values(kind, count, value)), 0)

    def _check_tiles(self, sizes: Mapping[int, int]) -> None:
        tile = sizes.get(_TILE_WIDTH, 0) * sizes.get(_TILE_LENGTH, 0)
        if tile > max(MIN_TILE, 4 * sizes.get(_WIDTH, 0) * sizes.get(_LENGTH, 0)):
            raise self._broken(f"has tiles of {tile:,} pixels, far larger than itself")

    def _check_ome(self, description: bytes) -> None:
        """Refuse an OME description by which lists longer than any set of files would be made."""
        from defusedxml import DefusedXmlException, ElementTree  # type: ignore[import-untyped]

        try:
            root: Element = ElementTree.fromstring(description.rstrip(b"\0"))
        except (ParseError, ValueError, LookupError):
            return  # tifffile takes it for no OME then
        except DefusedXmlException as error:
            raise self._broken("its OME description declares XML entities, which are refused") from error
        planes = 0
        for element in root.iter():
            name = element.tag.rpartition("}")[2]
            if name.endswith("Pixels"):
                sizes = math.prod(_whole(value) for key, value in element.attrib.items() if key.startswith("Size"))
                planes += sizes // max(1, min(self.asked.smallest, self.max_pixels))
            elif name.endswith("TiffData"):
                number = (
                    element.get("PlaneCount") or element.get("NumPlanes") or ("1" if "IFD" in element.attrib else "0")
                )
                planes += _whole(number) or self.asked.pages
            elif name[:-1].endswith("Along"):
                planes += _steps(element)
            if planes > MAX_OME_PLANES:
                raise self._broken(f"its OME description speaks of more than {MAX_OME_PLANES:,} planes")

    def _values(self, kind: int, count: int, value: bytes) -> Iterator[int]:
        """Yield the whole numbers of a tag, as far as they lie in the file."""
        code = _CODES.get(kind)
        if code is not None:
            data = self._bytes(kind, count, value)
            size = struct.calcsize(code)
            yield from (number for (number,) in struct.iter_unpack(f"{self.layout.order}{code}", data[: size * count]))

    def _bytes(self, kind: int, count: int, value: bytes) -> bytes:
        """Return the bytes of a tag, none if they do not all lie in the file."""
        num_bytes = count * _BYTES.get(kind, 0)
        if num_bytes <= len(value):
            return value[:num_bytes]
        start = self._number(self.layout.offset, value)
        return self._read(start, num_bytes) if start + num_bytes <= self.end else b""

    def _read(self, start: int, num: int) -> bytes:
        self.file.seek(min(start, self.end))
        return self.file.read(max(0, min(num, self.end - start)))

    def _number(self, form: str, data: bytes) -> int:
        try:
            (number,) = struct.unpack(form, data)
        except struct.error as error:
            raise self._broken("truncated file") from error
        return int(number)

    def _broken(self, reason: str) -> BrokenSample:
        return BrokenSample(self.file.name, reason)


def _whole(text: str) -> int:
    """Return a number of a description, 1 for what is none."""
    return abs(int(text)) if _WHOLE.fullmatch(text) else 1


def _steps(element: Element) -> int:
    """Return how many numbers there are from Start to End by Step."""
    try:
        start, end, step = (float(element.get(key, other)) for key, other in (("Start", 0), ("End", 0), ("Step", 1)))
        return math.ceil(abs((end - start) / step)) + 1
    except (ValueError, ZeroDivisionError, OverflowError):
        return MAX_OME_PLANES + 1 if "Start" in element.attrib else 0
