"""A file in a lower precision beside the float32 file that it was made of: what it costs, and what it gains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from maecli.errors import MaeError, SpecError
from maecli.exporting.file_module import FileModule
from maecli.exporting.format import FLOAT32, ExportFormat
from maecli.exporting.model import ExportedModel
from maecli.hardware import cpu_name
from maecli.reports.numbers import format_value
from maecli.results import Evaluation, Metric
from maecli.run.evaluate import measure
from maecli.run.restore import Restored
from maecli.speed.forms import load_file, made_up
from maecli.speed.process import Steps
from maecli.speed.turns import Racer, Timing, in_turn, unrest
from maecli.text import number_of

SECONDS = 2.0
"""Time for each of the two files."""
MOST_BY_CHANCE = 5
"""Samples that may be lost net, and a sign test finds nothing in it at 5%."""


@dataclass(frozen=True)
class Lowered:
    """What a lower precision costs on validation data, and how much faster it is here."""

    precision: str
    metric: str
    """What people call it."""
    exact: float
    """In float32."""
    value: float
    loss: float
    """In points; see `points_lost`."""
    samples: str
    """On how many it was measured, in words."""
    speedup: float
    """How many times as fast as float32, at batch 1; below 1 it is slower."""
    speedup_middle_half: tuple[float, float]
    cpu: str
    unit: str = ""
    """Of the metric."""
    note: str = ""
    """A sentence where the machine was not at rest while the two took turns."""

    @property
    def comparison(self) -> str:
        """Both values side by side, as a sentence."""
        return (
            f"In {self.precision} the {self.metric} on {self.samples} of validation is "
            f"{format_value(self.value, self.unit)}, in {FLOAT32} {format_value(self.exact, self.unit)}: "
            f"{self.loss:.2f} points lost."
        )

    @property
    def sentences(self) -> list[str]:
        low, high = self.speedup_middle_half
        cost = (
            f"{self.metric} on {self.samples} of validation: {self.value:.4g}, in float32 {self.exact:.4g}: "
            f"{self.loss:.2f} points lost"
        )
        gain = f"{self.speedup:.2f} times as fast as float32 at batch 1 on {self.cpu} ({low:.2f} to {high:.2f})"
        gain = gain if self.speedup >= 1 else f"{gain}: slower, so float32 serves this machine better"
        return [cost, gain, *([self.note] if self.note else [])]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def lower(
    exporter: ExportFormat,
    restored: Restored,
    model: ExportedModel,
    exact: Path,
    path: Path,
    precision: str,
    max_drop: float,
) -> Lowered:
    """Write a checked float32 file in a lower precision, and measure both on the run's validation data.

    Raises SpecError where a file of this task cannot be measured, DataError where there is nothing to measure it on,
    MaeError where it loses more than `max_drop` points.
    """
    if not (type(exporter).can_be_run and model.graph.outputs.can_be_measured):
        raise SpecError(
            f"--precision {precision} is not written unmeasured, and {model.task.name} cannot be measured by a file; "
            f"give --precision {FLOAT32}"
        )
    restored.data.samples("val")
    exporter.lower(exact, path, precision)
    before, after = (_measured(exporter, restored, model, file) for file in (exact, path))
    loss = points_lost(before.metrics[0], after.metrics[0])
    label = before.metrics[0].label
    if not loss <= max_drop:  # NaN is not
        accept = f"--max-drop {math.ceil(loss)} accepts that, " if math.isfinite(loss) else ""
        raise MaeError(
            f"{precision} loses {loss:.2f} points of {label} on {before.samples} of validation"
            f"{_in_samples(before, loss)}, more than --max-drop {max_drop:g}, so nothing was written; "
            f"{accept}--precision {FLOAT32} keeps them"
        )
    first, second = _in_turn(type(exporter), model, exact, path)
    speedup, low, high = second.speedup(first)
    values = before.metrics[0].value, after.metrics[0].value
    unit, note = before.metrics[0].unit, unrest((first, second))
    return Lowered(precision, label, *values, loss, before.samples, speedup, (low, high), cpu_name(), unit, note)


def points_lost(exact: Metric, lowered: Metric) -> float:
    """Return how much worse a metric is: of shares in percentage points, of others in per cent of the exact one."""
    worse = exact.value - lowered.value if exact.better == "higher" else lowered.value - exact.value
    return 100 * worse / (1 if exact.unit == "share" else max(abs(exact.value), 1e-12))


def _in_samples(exact: Evaluation, loss: float) -> str:
    """Say how few samples a loss of accuracy is, where it is no more than chance may give.

    If k samples changed, all for the worse, a sign test has p = 2 / 2**k: above 0.05 up to five. Others that changed
    both ways make it larger.
    """
    metric, num = exact.metrics[0], exact.num_samples
    right, lost = metric.value * num, round(loss * num / 100)
    counts = metric.unit == "share" and math.isclose(right, round(right), abs_tol=1e-3)
    if not counts or not 0 < lost <= MOST_BY_CHANCE or not math.isclose(lost, loss * num / 100, abs_tol=1e-3):
        return ""
    return f" ({lost} of {number_of(num, exact.one, exact.many)}, no more than chance may give)"


def _measured(exporter: ExportFormat, restored: Restored, model: ExportedModel, file: Path) -> Evaluation:
    """Return what a file gets on validation, in place of the run's module."""
    module = FileModule(exporter.load(file), model.raw, model.graph.outputs.module_output, model.module.encoder)
    return measure(restored, module, "val", "")


def _in_turn(plugin: type[ExportFormat], model: ExportedModel, exact: Path, path: Path) -> Sequence[Timing]:
    """Return the timings of both files at batch 1, which take turns."""
    samples = made_up(model.raw, 1)
    racers: list[Racer] = [
        Steps(file.name, partial(load_file, plugin.name, file), samples, torch.get_num_threads())
        for file in (exact, path)
    ]

    def fails(racer: Racer, error: MaeError) -> None:
        raise error

    return [*in_turn(racers, 1, SECONDS, fails).values()]
