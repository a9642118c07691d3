"""What the samples of a data set show together, beyond what each shows by itself, as plain values."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from maecli.results import Table


class Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Finding(Plain):
    """One thing that a person should know."""

    kind: str = Field(description="what it is, in a word or two, such as drift")
    of: tuple[str, ...] = Field(default=(), description="names of the channels or cells that it is about")
    told: str = Field(description="one sentence: what was found, and what to do")


class Curves(Plain):
    """A chart of a line per name."""

    name: str
    caption: str
    x_label: str
    y_label: str
    points: dict[str, tuple[tuple[float, float | None], ...]] = Field(description="x and y; None where nothing is")
    borders: dict[str, float] = Field(default_factory=dict, description="where on x something begins, by its name")


class Bars(Plain):
    """A chart of a bar per name."""

    name: str
    caption: str
    x_label: str
    lengths: dict[str, float]
    unit: str = Field(default="", description="share: drawn in percent")


class Topic(Plain):
    """A titled part of what there is to show: sentences, then tables, then charts."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Curves | Bars, ...] = ()


class Study(Plain):
    """All of it."""

    findings: tuple[Finding, ...] = Field(default=(), description="the most urgent first")
    topics: tuple[Topic, ...] = ()
