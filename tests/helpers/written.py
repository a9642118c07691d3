"""What commands wrote, read back by the tests."""

from __future__ import annotations

import csv
from pathlib import Path


def csv_rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a table, by column."""
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def rows_of(out: Path) -> list[dict[str, str]]:
    """Return the predictions of an inference."""
    return csv_rows(out / "predictions.csv")


def skipped_of(out: Path) -> dict[str, str]:
    """Return why files were left out, by their keys."""
    return {row["path"]: row["reason"] for row in csv_rows(out / "skipped.csv")}


def contents(folder: Path, ledger: bool = False) -> dict[str, bytes]:
    """Return what the files below a folder hold, the ledger of what mae wrote only if asked for."""
    files = (path for path in folder.rglob("*") if path.is_file() and (ledger or path.parent.name != ".mae"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
