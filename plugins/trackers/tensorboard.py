"""Metrics as TensorBoard events in the run directory."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maecli import api

WRITER = "tensorboard.summary.writer.event_file_writer"


class ToldOnce:
    """A hook for threads that fail; of TensorBoard's own it says nothing: the next call there raises what it raised."""

    def __init__(self, others: Callable[[threading.ExceptHookArgs], object]) -> None:
        self.others = others

    def __call__(self, args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__module__ != WRITER:
            self.others(args)


class TensorBoard(api.Tracker):
    """Scalars for `tensorboard --logdir runs`, in the run's folder `tensorboard/`."""

    name = "tensorboard"
    files = ("tensorboard/*",)

    def __init__(self, run_dir: Path, spec: Mapping[str, Any], start_step: int) -> None:
        super().__init__(run_dir, spec, start_step)
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        if not isinstance(threading.excepthook, ToldOnce):
            threading.excepthook = ToldOnce(threading.excepthook)
        # purge_step hides what an attempt that was cut off wrote after the step that it continues from.
        self._writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=start_step + 1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        with self._unless_taken_away():
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        with self._unless_taken_away():
            self._writer.close()

    @contextlib.contextmanager
    def _unless_taken_away(self) -> Iterator[None]:
        """Leave it to the next checkpoint to tell that the run directory is gone."""
        try:
            yield
        except FileNotFoundError:
            if self.run_dir.exists():
                raise


@api.hookimpl
def mae_trackers() -> list[type[api.Tracker]]:
    return [TensorBoard]
