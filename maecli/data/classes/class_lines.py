"""The names of classes whose numbers stand elsewhere: `classes.txt`, a line for each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from maecli.errors import DataError

CLASSES = "classes.txt"
MAX_BYTES = 2**24


def read_class_lines(root: Path) -> tuple[str, ...]:
    """Return the lines of a folder's `classes.txt`, of which the first names class 0; none without it.

    Raises DataError for what is no list of different names.
    """
    path = root / CLASSES
    if not path.is_file():
        return ()
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} is larger than {MAX_BYTES:,} bytes, which no list of classes is")
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text in UTF-8; save it as one") from error
    if twice := [name for name, num in Counter(names).items() if num > 1]:
        raise DataError(f"{path} names {twice[0]} twice; the number of a class is that of its line, from 0")
    return names
