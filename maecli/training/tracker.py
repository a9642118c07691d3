"""Where metrics go: the interface of a tracker plugin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar


class Tracker(ABC):
    """Receives the metrics of one run. Only the main process has trackers."""

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    """Patterns of the files that it writes into the run directory, such as `metrics.jsonl` or `logs/*.csv`: what
    `--overwrite` may remove of them, once the tracker made them. Files that are not named stay."""

    def __init__(self, run_dir: Path, spec: Mapping[str, Any], start_step: int) -> None:
        """Open. A resumed run starts at `start_step`; what an earlier attempt wrote after it is to be dropped."""
        self.run_dir = run_dir

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record metrics, named such as `train/loss` and `val/top1`, after optimizer step `step`."""

    def close(self) -> None:  # noqa: B027 - there may be nothing to do
        """Write out what is buffered. Called once, also when the run fails."""

    @classmethod
    def problems(cls, run_dir: Path) -> list[str]:
        """Return a sentence for each file in `run_dir` that cannot be read back whole; called before it opens."""
        return []

    @classmethod
    def history(cls, run_dir: Path) -> dict[str, list[tuple[int, float]]]:
        """Return what this tracker can read back of a run, metric → (step, value) in order; for reports."""
        return {}
