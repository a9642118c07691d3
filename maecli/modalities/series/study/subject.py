"""What is studied: series of a data set, column by column, each under a name that people know.

Shapes: C channels, T steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.modalities.series.recording import Recording
from maecli.modalities.series.steps import Steps
from maecli.modalities.series.study.levels import Level
from maecli.modalities.series.study.seasons import Season
from maecli.text import number_of

MOST_COLUMNS = 64
"""Columns of series that are gone into; of more, evenly spaced ones."""
MOST_STEPS = 100_000
"""Steps of a series that are gone into, the last ones."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """A column of a series."""

    name: str
    """Of the column, and of its series where there are several."""
    channel: int
    recording: Recording

    @property
    def values(self) -> Values:
        """Its last steps (T,), NaN where nothing is known."""
        return self.recording.values[self.channel, -MOST_STEPS:].astype(np.float64)


@dataclass(frozen=True)
class Looked:
    """A column that was gone into."""

    column: Column
    seasons: Sequence[Season]
    rest: Values
    """What is left of it (T,) without its seasons."""
    level: Level | None


@dataclass(frozen=True)
class Subject:
    """What is studied, by its splits."""

    card: DataCard
    recordings: Mapping[str, Sequence[Recording]]
    """Of each split: the same series, each with the steps of that split."""

    @property
    def whole(self) -> Sequence[Recording]:
        """Each series once."""
        return next(iter(self.recordings.values()))

    @property
    def channels(self) -> list[str]:
        names = self.card.channel_names
        return [names[i] if i < len(names) else f"channel {i + 1}" for i in range(self.card.channels)]

    @property
    def columns(self) -> list[Column]:
        """The columns that are gone into."""
        every = [*self._every_column()]
        step = -(-len(every) // MOST_COLUMNS)
        return every[::step]

    def _every_column(self) -> Iterator[Column]:
        for recording in self.whole:
            of = f" of {recording.name}" if len(self.whole) > 1 else ""
            for channel, name in enumerate(self.channels):
                yield Column(f"{name}{of}", channel, recording)

    @property
    def limits(self) -> str:
        """Return what was not gone into, in a sentence; nothing where all was."""
        num, longest = len(self.whole) * self.card.channels, max(each.values.shape[1] for each in self.whole)
        parts = [f"{len(self.columns)} of {num:,} columns of series"] if len(self.columns) < num else []
        parts += [f"the last {MOST_STEPS:,} steps of each"] if longest > MOST_STEPS else []
        return f"Seasons, levels and copies were looked for in {' and '.join(parts)}." if parts else ""

    def likely_seasons(self, steps: Steps | None) -> list[int]:
        """Return the periods that are to be expected of such steps: of hours a day, and a week of these."""
        season = self.card.season if steps is None else steps.season
        if not season:
            return []
        week = steps is not None and steps.lasting(season) == "1 day"
        return [season, 7 * season] if week else [season]

    def steps_in_words(self, num: int) -> str:
        """Return how long so many steps are: a day (24 steps)."""
        steps, words = self.whole[0].steps, number_of(num, "step")
        if steps is None or self.whole[0].form is None:
            return words
        count, _, unit = steps.lasting(num).partition(" ")
        article = "an" if unit == "hour" else "a"
        lasting = f"{article} {unit}" if count == "1" else f"{count} {unit}"
        return f"{lasting} ({words})"


def part_of(recording: Recording, channel: int) -> Values:
    """Return what a channel holds at the steps of the split."""
    rows = recording.rows
    return recording.values[channel, rows.start : rows.stop].astype(np.float64)
