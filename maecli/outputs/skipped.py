"""Files that cannot be read: each is named once, and listed in a CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from maecli.errors import DamagedFile, DataError
from maecli.progress import TrainProgress
from maecli.storage.documents import read_text
from maecli.storage.files import write_text
from maecli.storage.tables import csv_line
from maecli.text import one_line

SKIPPED = "skipped.csv"
COLUMNS = ("path", "reason")
MAX_BYTES = 64 * 2**20


class Skipped:
    """Collects files that cannot be read; each is named once."""

    def __init__(self, progress: TrainProgress, strict: bool) -> None:
        self.progress, self.strict = progress, strict
        self.files: dict[str, str] = {}

    def add(self, key: str, reason: str) -> None:
        if self.strict:
            raise DataError(f"{key}: {reason}; mend or remove it, or go without --strict to leave it out")
        if key not in self.files:
            self.files[key] = reason
            self.progress.say(f"left out: {one_line(key)}: {one_line(reason)}")

    def write(self, path: Path) -> None:
        """Write the list, if there is anything on it."""
        if self.files:
            write_text(path, skipped_csv(self.files))


def skipped_csv(files: dict[str, str]) -> str:
    """Return the CSV text of unreadable files, path → reason."""
    return "".join(map(csv_line, [COLUMNS, *sorted(files.items())]))


def read_skipped(path: Path) -> list[tuple[str, str]]:
    """Return the unreadable files that a list names, with reasons; none where there is no list.

    Raises DamagedFile for a file that is no such list.
    """
    try:
        lines = csv.reader(io.StringIO(read_text(path, MAX_BYTES), newline=""))
        head, *rows = [row for row in lines if row]
    except FileNotFoundError:
        return []
    except (csv.Error, ValueError) as error:
        raise DamagedFile(path, "is no list of files that were left out") from error
    if tuple(head) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise DamagedFile(path, "is no list of files that were left out")
    return [(path, reason) for path, reason in rows]
