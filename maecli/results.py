"""What an evaluation found, as plain values: each metric beside its baseline.

Numbers only, no tensors and no modules: tasks produce these, reports and the command line show them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from maecli.text import number_of


class Metric(BaseModel):
    """One measured number, with what a trivial predictor gets on the same samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="key in JSON, such as top1")
    label: str = Field(description="what people call it, such as 'top-1 accuracy'")
    value: float
    unit: Literal["share", "count", "dB", "squared", "mm", "index", ""] = Field(
        default="", description="share: 0 to 1, shown as a percentage; squared: squared units of [0, 1]"
    )
    better: Literal["higher", "lower"] = "higher"
    baselines: dict[str, float] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("baselines", "twins"),  # what it was called in older records
        description="what trivial predictors get on the same samples, such as majority and chance",
    )
    interval: tuple[float, float] | None = Field(default=None, description="95% interval of the value")
    note: str = ""

    @property
    def beats_baselines(self) -> bool | None:
        """Whether the value is better than every baseline; None without baselines."""
        if self.best_baseline is None:
            return None
        _, best = self.best_baseline
        return self.value > best if self.better == "higher" else self.value < best

    @property
    def best_baseline(self) -> tuple[str, float] | None:
        """Name and value of the best of the baselines; None without baselines."""
        best = max if self.better == "higher" else min
        return best(self.baselines.items(), key=lambda item: item[1], default=None)

    @property
    def error_saved(self) -> tuple[float, str] | None:
        """By which share an error is less than that of the best baseline, and its name; None where it is not less."""
        if self.better == "higher" or self.best_baseline is None or not self.beats_baselines:
            return None
        name, error = self.best_baseline
        return 1 - self.value / error, name


class Table(BaseModel):
    """A table of plain cells, such as recall per class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]


class Drawing(BaseModel):
    """A finished PNG with the sentence that belongs under it.

    A grid of pictures notes in its PNG where they lie and what stands with them: a page shows these texts as text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="file stem, such as reconstructions")
    caption: str
    png: bytes = Field(repr=False)


class OtherData(BaseModel):
    """What a run was measured on, where that is not what it began with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="the folder's name and a digest: what tells its result from others")
    folder: str
    reading: str = ""
    samples: int
    difference: str = Field(description="from the data that the run began with, in words")

    def __str__(self) -> str:
        reading = f": {self.reading}" if self.reading else ""
        return f"other data than the run's, in {self.folder}{reading} ({self.difference})"


class Counted(BaseModel):
    """What was counted of each sample of a split, so that another run can be laid beside it sample by sample."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: str = Field(description="digest of the names of the samples, in the order of the split")
    tensors: bytes = Field(repr=False, description="the state of an evaluator, as safetensors")


class Difference(BaseModel):
    """How far a metric of one run lies above that of another on the same samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    interval: tuple[float, float] = Field(description="95% interval of the value")
    p_value: float = Field(description="how likely chance alone puts two equal runs as far apart, either way")
    test: str = Field(description="what tells the p-value, in words")
    num_samples: int

    @property
    def is_told(self) -> bool:
        """Whether it is more than chance may be: at 5%, by the test and by the interval."""
        low, high = self.interval
        return self.p_value < 0.05 and not low <= 0 <= high


class Evaluation(BaseModel):
    """Everything that one evaluation of one split produced. The first metric is the headline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: str
    probe: str = Field(default="", description="what probed the frozen encoder, such as knn; empty: the run's task")
    num_samples: int
    one: str = Field(default="sample", description="what a sample is called, such as picture")
    many: str = Field(default="samples", description="what several are called")
    finding: str = Field(default="", description="what was found and what limits it, in words; empty: see the headline")
    weights: str = Field(default="", description="which weights: the last or the best checkpoint, and its step")
    data: OtherData | None = Field(default=None, description="other data than those that the run began with")
    metrics: tuple[Metric, ...] = Field(validation_alias=AliasChoices("metrics", "figures"))
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: dict[str, int] = Field(
        default_factory=dict, description="what of the split was not looked at, in words, and how much"
    )
    counted: Counted | None = Field(default=None, repr=False, description="of each sample, kept beside the metrics")

    @property
    def name(self) -> str:
        """What tells it from the other evaluations of its run: test, probe-knn-test, test-on-other-1f3a5b."""
        name = f"probe-{self.probe}-{self.split}" if self.probe else self.split
        return f"{name}-on-{self.data.id}" if self.data is not None else name

    @property
    def samples(self) -> str:
        """How many were measured on: 30 pictures."""
        return number_of(self.num_samples, self.one, self.many)

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation without its drawings and what was counted, ready for `json.dumps`."""
        return self.model_dump(mode="json", exclude={"drawings", "counted"})


def mean_metric(metrics: Sequence[Metric]) -> tuple[Metric, float | None]:
    """Return the mean over seeds, of the baselines too, and the sample standard deviation, None of a single one.

    A single metric keeps its interval: it tells what the samples leave open, not the seeds.
    """
    first = metrics[0]
    if len(metrics) == 1:
        return first, None
    values = [metric.value for metric in metrics]
    shared = [name for name in first.baselines if all(name in metric.baselines for metric in metrics)]
    baselines = {name: statistics.fmean(metric.baselines[name] for metric in metrics) for name in shared}
    finite = all(map(math.isfinite, values))
    mean, sd = (statistics.fmean(values), statistics.stdev(values)) if finite else (math.nan, math.nan)
    return first.model_copy(update={"value": mean, "baselines": baselines, "interval": None}), sd
