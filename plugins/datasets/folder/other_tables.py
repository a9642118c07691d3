"""Tables beside the pictures that are not called as a table of labels, and name pictures."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from maecli.api import pictures

ENDINGS = (".csv", ".tsv", ".txt")
MAX_CHARACTERS, NUM_LINES = 65536, 20


def find_tables(root: Path, places: Sequence[str], keys: Collection[str]) -> list[tuple[str, str]]:
    """Return the tables in some folders below `root` of which a column names pictures, with the name of that column."""
    names = {PurePosixPath(key).name for key in keys}
    names |= {PurePosixPath(key).stem for key in keys}
    found = []
    for place in places:
        for path in sorted((root / place).glob("*")):
            if path.suffix.lower() in ENDINGS and path.name.lower() not in pictures.LABELS_FILES:
                column = _column_of_files(path, names)
                found += [(f"{place}{path.name}", column)] if column else []
    return found


def _column_of_files(path: Path, names: Collection[str]) -> str:
    """Return the name of the first column whose cells name pictures; nothing if there is none beside another column."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            lines = file.read(MAX_CHARACTERS).splitlines()[:NUM_LINES]
    except OSError:
        return ""
    rows = [[cell.strip().strip('"') for cell in re.split(r"[,;\t]", line)] for line in lines]
    if len(rows) < 2 or len(rows[0]) < 2:
        return ""
    header, *rest = rows
    for i, column in enumerate(header):
        cells = [PurePosixPath(row[i]).name for row in rest if i < len(row)]
        if 2 * sum(cell in names for cell in cells) > len(cells):
            return column
    return ""
