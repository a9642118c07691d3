"""What an evaluation found, as plain values: each figure beside its trivial twin.

Numbers only, no tensors and no modules: tasks produce these, reports and the command line show them.
"""

from __future__ import annotations

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
    num_samples: int
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation without its pictures, ready for `json.dumps`."""
        return self.model_dump(mode="json", exclude={"pictures"})
