"""Metrics as JSON lines in the run directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maecli import api

NUM_NAMED = 5
"""Damaged lines that a sentence names."""


class JsonLines(api.Tracker):
    """One line per record in `metrics.jsonl`: the step, and the metrics by name."""

    name = "jsonl"
    file_name = "metrics.jsonl"
    files = (file_name,)

    def __init__(self, run_dir: Path, spec: Mapping[str, Any], start_step: int) -> None:
        super().__init__(run_dir, spec, start_step)
        path = run_dir / self.file_name
        kept = [record for record in read_records(path)[0] if record["step"] <= start_step]
        lines = "".join(json.dumps(record) + "\n" for record in kept)
        api.write_text(path, lines)
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")

    def close(self) -> None:
        self._file.close()

    @classmethod
    def problems(cls, run_dir: Path) -> list[str]:
        path = run_dir / cls.file_name
        bad = read_records(path)[1]
        if not bad:
            return []
        more = f" and {len(bad) - NUM_NAMED:,} more" if len(bad) > NUM_NAMED else ""
        lines = ", ".join(map(str, bad[:NUM_NAMED])) + more
        which, are = ("lines", "are") if len(bad) > 1 else ("line", "is")
        return [f"{path}: {which} {lines} cannot be read and {are} left out; the others stay"]

    @classmethod
    def history(cls, run_dir: Path) -> dict[str, list[tuple[int, float]]]:
        history: dict[str, list[tuple[int, float]]] = {}
        for record in read_records(run_dir / cls.file_name)[0]:
            step = record.pop("step")
            for name, value in record.items():
                history.setdefault(name, []).append((step, value))
        return history


def read_records(path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the records of a file, and the numbers of the lines that hold none.

    A last line without an end is no damage: the process was killed while it wrote, or writes just now. Raises OSError
    where a file that is there cannot be read: what it holds must not be taken for nothing.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], []
    records, bad = [], []
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        record = _as_record(line)
        if record is not None:
            records.append(record)
        elif line.strip() and number < len(lines):
            bad.append(number)
    return records, bad


def _as_record(line: bytes) -> dict[str, Any] | None:
    """Return a line's step and numbers, None for a line that holds anything else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    return record if all(type(value) in (int, float) for value in record.values()) else None


@api.hookimpl
def mae_trackers() -> list[type[api.Tracker]]:
    return [JsonLines]
