"""Files that cannot be read: each is named once, and listed in a CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from maecli.errors import DataError
from maecli.progress import TrainProgress
from maecli.storage.files import write_text

SKIPPED = "skipped.csv"


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
            self.progress.say(f"left out: {key}: {reason}")

    def write(self, path: Path) -> None:
        """Write the list, if there is anything on it."""
        if self.files:
            write_text(path, skipped_csv(self.files))


def skipped_csv(files: dict[str, str]) -> str:
    """Return the CSV text of unreadable files, path → reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows(sorted(files.items()))
    return text.getvalue()
