"""What an evaluation found, as plain values: each figure beside its trivial twin.

Numbers only, no tensors and no modules: tasks produce these, reports and the command line show them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Figure(BaseModel):
    """One measured number, with what a trivial predictor gets on the same samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="key in JSON, such as top1")
    label: str = Field(description="what people call it, such as 'top-1 accuracy'")
    value: float
    unit: Literal["share", "count", "dB", "squared", "index", ""] = Field(
        default="", description="share: 0 to 1, shown as a percentage; squared: squared pixel units of [0, 1]"
    )
    better: Literal["higher", "lower"] = "higher"
    twins: dict[str, float] = Field(
        default_factory=dict, description="trivial predictors on the same samples, such as majority and chance"
    )
    interval: tuple[float, float] | None = Field(default=None, description="95% interval of the value")
    note: str = ""

    @property
    def beats_twins(self) -> bool | None:
        """Whether the value is better than every twin; None without twins."""
        if not self.twins:
            return None
        if self.better == "higher":
            return self.value > max(self.twins.values())
        return self.value < min(self.twins.values())


class Table(BaseModel):
    """A table of plain cells, such as recall per class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]


class Picture(BaseModel):
    """A finished PNG with the sentence that belongs under it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="file stem, such as reconstructions")
    caption: str
    png: bytes = Field(repr=False)


class Evaluation(BaseModel):
    """Everything that one evaluation of one split produced. The first figure is the headline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: str
    probe: str = Field(default="", description="what probed the frozen encoder, such as knn; empty: the run's task")
    num_samples: int
    weights: str = Field(default="", description="which weights: the last or the best checkpoint, and its step")
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tells it from the other evaluations of its run: test, probe-knn-test."""
        return f"probe-{self.probe}-{self.split}" if self.probe else self.split

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation without its pictures, ready for `json.dumps`."""
        return self.model_dump(mode="json", exclude={"pictures"})


def mean_figure(figures: Sequence[Figure]) -> tuple[Figure, float | None]:
    """Return the mean over seeds, of the twins too, and the sample standard deviation, None of a single one.

    A single figure keeps its interval: it tells what the samples leave open, not the seeds.
    """
    first = figures[0]
    if len(figures) == 1:
        return first, None
    values = [figure.value for figure in figures]
    shared = [name for name in first.twins if all(name in figure.twins for figure in figures)]
    twins = {name: statistics.fmean(figure.twins[name] for figure in figures) for name in shared}
    finite = all(map(math.isfinite, values))
    mean, sd = (statistics.fmean(values), statistics.stdev(values)) if finite else (math.nan, math.nan)
    return first.model_copy(update={"value": mean, "twins": twins, "interval": None}), sd
