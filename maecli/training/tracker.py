"""Where metrics go: the interface of a tracker plugin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar


class Tracker(ABC):
    """Receives the metrics of one run. Only the main process has trackers."""

    name: ClassVar[str]

    def __init__(self, run_dir: Path, spec: Mapping[str, Any], start_step: int) -> None:
        """Open. A resumed run starts at `start_step`; what an earlier attempt wrote after it is to be dropped."""
        self.run_dir = run_dir

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record metrics, named such as `train/loss` and `val/top1`, after optimizer step `step`."""

    def close(self) -> None:  # noqa: B027 - there may be nothing to do
        """Write out what is buffered. Called once, also when the run fails."""

    @classmethod
    def history(cls, run_dir: Path) -> dict[str, list[tuple[int, float]]]:
        """Return what this tracker can read back of a run, metric → (step, value) in order; for reports."""
        return {}
