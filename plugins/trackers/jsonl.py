"""Metrics as JSON lines in the run directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maecli import api


class JsonLines(api.Tracker):
    """One line per record in `metrics.jsonl`: the step, and the metrics by name."""

    name = "jsonl"
    file_name = "metrics.jsonl"

    def __init__(self, run_dir: Path, spec: Mapping[str, Any], start_step: int) -> None:
        super().__init__(run_dir, spec, start_step)
        path = run_dir / self.file_name
        kept = [record for record in self._read(path) if record["step"] <= start_step]
        lines = "".join(json.dumps(record) + "\n" for record in kept)
        api.write_text(path, lines)
        self._file = path.open("a", encoding="utf-8", buffering=1)

    @staticmethod
    def _read(path: Path) -> list[dict[str, Any]]:
        records = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    records.append(json.loads(line))
                except json.JSONDecodeError:
                    break  # the process was killed while writing this line
        return records

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")

    def close(self) -> None:
        self._file.close()

    @classmethod
    def history(cls, run_dir: Path) -> dict[str, list[tuple[int, float]]]:
        history: dict[str, list[tuple[int, float]]] = {}
        for record in cls._read(run_dir / cls.file_name):
            step = record.pop("step")
            for name, value in record.items():
                history.setdefault(name, []).append((step, value))
        return history


@api.hookimpl
def mae_trackers() -> list[type[api.Tracker]]:
    return [JsonLines]
