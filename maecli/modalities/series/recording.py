"""What windows are cut from: a series as a whole, and which of its steps belong to a split.

Shapes: C channels, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli.data.tabular.times import TimeFormat
from maecli.modalities.series.steps import Steps


@dataclass(frozen=True)
class Recording:
    """A series, and those of its steps that belong to a split."""

    name: str
    """What the keys of its windows begin with."""
    values: NDArray[np.float32]
    """(C, T) of all splits, NaN where nothing is known."""
    rows: range
    """The steps of the split."""
    path: Path
    steps: Steps | None = None
    """When its steps are; None where that is not known."""
    form: TimeFormat | None = None
    """How its times are written."""

    def time(self, step: int) -> str:
        """Return when a step is, as the series writes times, or its number, counted from 1."""
        if self.steps is None or self.form is None:
            return f"step {step + 1:,}"
        return self.form.text(self.steps.time(step))


class Recorded:
    """Mixed into a split whose samples are windows of series: tells what these are cut from, as `mae eda` asks."""

    recordings: Sequence[Recording] = ()
