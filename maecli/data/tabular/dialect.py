"""How a CSV file is written: its encoding, and what separates its cells."""

from __future__ import annotations

import codecs
import csv
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from maecli.errors import BrokenSample

MAX_BYTES = 2**32
"""Of a file: 40 million rows of 100 bytes. Rows are read one by one."""
MAX_LINE = 2**20
"""Characters of a line."""
DELIMITERS = (",", ";", "\t", "|")
LEGACY = "cp1252"
"""Windows-1252, in which western spreadsheets save CSV that is not UTF-8."""
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_PART = 2**20


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    encoding: str
    mark: bytes
    """The byte-order mark that the file begins with, or nothing."""
    delimiter: str
    told: bool = False
    """Whether the first line says the delimiter, as in `sep=;`, and is no header."""

    @contextmanager
    def open(self, path: Path) -> Iterator[TextIO]:
        """Open a file behind its mark, line ends as they are."""
        with path.open("rb") as file:
            file.seek(len(self.mark))
            with io.TextIOWrapper(file, self.encoding, newline="") as text:
                yield text


def find_dialect(path: Path, legacy: bool = False) -> Dialect:
    """Return how a file is written; with `legacy` one that is neither UTF-8 nor has a mark is Windows-1252.

    Raises BrokenSample for what is no text, or too large; OSError.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):  # a pipe may never end
        raise BrokenSample(str(path), "cannot be read (it is no file)")
    if state.st_size > MAX_BYTES:
        raise BrokenSample(str(path), f"is larger than {MAX_BYTES:,} bytes")
    encoding, mark = _encoding(path, legacy)
    with Dialect(encoding, mark, ",").open(path) as file:
        first, second = file.readline(MAX_LINE), file.readline(MAX_LINE)
    if first[:4].lower() == "sep=" and first[4:5].strip("\r\n"):  # of Excel, in a line before the header
        return Dialect(encoding, mark, first[4], told=True)
    return Dialect(encoding, mark, _delimiter(first, second))


def _encoding(path: Path, legacy: bool) -> tuple[str, bytes]:
    """Return the encoding of a file, and its mark."""
    with path.open("rb") as file:
        head = file.read(_PART)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, mark
    if b"\0" in head:
        raise BrokenSample(str(path), "is no text: it holds zero bytes, and no byte-order mark says that it is UTF-16")
    if _decodes(path, "utf-8"):
        return "utf-8", b""
    if not legacy:
        raise BrokenSample(str(path), "not UTF-8 text; save it as CSV in UTF-8 (in Excel: CSV UTF-8)")
    if not _decodes(path, LEGACY):
        raise BrokenSample(str(path), "is text neither in UTF-8 nor in Windows-1252; save it as CSV in UTF-8")
    return LEGACY, b""


def _decodes(path: Path, encoding: str) -> bool:
    """Whether all of a file is text in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while part := file.read(_PART):
                decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(header: str, row: str) -> str:
    """Return what separates the cells of a header: of several the one that the row below it has as often, and most."""
    counts = {each: [_num_cells(line, each) for line in (header, row)] for each in DELIMITERS}
    there = [each for each in DELIMITERS if counts[each][0] > 1]
    agreeing = [each for each in there if counts[each][0] == counts[each][1]]
    return max(agreeing, key=lambda each: counts[each][0]) if agreeing else (there or [","])[0]


def _num_cells(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0
