"""What a page shows of series: tables and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.series.study.drift import Drift
from maecli.modalities.series.study.levels import CRITICAL_LEVEL, Course
from maecli.modalities.series.study.seasons import autocorrelation
from maecli.modalities.series.study.subject import Looked, Subject
from maecli.modalities.study import Curves, Topic
from maecli.results import Table
from maecli.text import some

Values = NDArray[np.float64]

COURSES: Mapping[Course, str] = {
    "keep": "keeps its level",
    "wander": "wanders",
    "rise along a line": "rises along a line",
    "fall along a line": "falls along a line",
}
NAMED, MOST_LINES, MOST_POINTS = 8, 6, 240


def course(subject: Subject) -> Topic:
    """Return how the first series goes, with where splits begin."""
    recording = subject.whole[0]
    borders = {name: float(each[0].rows.start) for name, each in subject.recordings.items() if len(each[0].rows)}
    points = {}
    for channel, name in enumerate(subject.channels[:MOST_LINES]):
        values = recording.values[channel].astype(np.float64)
        deviation = float(np.nanstd(values)) or 1.0
        points[name] = _thinned((values - np.nanmean(values)) / deviation)
    of = f" of {recording.name}, the first of {len(subject.whole):,} series" if len(subject.whole) > 1 else ""
    first = (
        f" The first {len(points)} of {subject.card.channels:,} columns." if len(points) < subject.card.channels else ""
    )
    chart = Curves(
        name="course",
        caption=f"Means of equal times{of}, each column standardised by itself.{first}",
        x_label="step",
        y_label="standard deviations",
        points=points,
        borders=borders if len(borders) > 1 else {},
    )
    text = (subject.limits,) if subject.limits else ()
    return Topic(title="Over time", text=text, charts=(chart,))


def seasons(subject: Subject, looked: Sequence[Looked]) -> Topic:
    """Return after how long columns repeat themselves, and their autocorrelation."""
    rows = [
        (each.column.name, subject.steps_in_words(season.period), f"{season.share:.0%}")
        for each in looked
        for season in each.seasons
    ]
    longest = max((season.period for each in looked for season in each.seasons), default=24)
    most = min(2 * longest + longest // 4, min(len(each.rest) for each in looked) // 2)
    step = max(1, most // MOST_POINTS)
    points: dict[str, tuple[tuple[float, float | None], ...]] = {}
    for each in looked[:MOST_LINES]:
        height = autocorrelation(each.column.values, most)
        points[each.column.name] = tuple((float(lag), float(height[lag])) for lag in range(0, len(height), step))
    without = [each.column.name for each in looked if not each.seasons]
    text = (f"No season was found in {some(without, NAMED)}.",) if without else ()
    title = "What repeats: share of what moves around the average of a period"
    table = Table(title=title, columns=("column", "after", "repeats"), rows=tuple(rows))
    chart = Curves(
        name="autocorrelation",
        caption="Autocorrelation: how much a value is like the one so many steps before.",
        x_label="lag in steps",
        y_label="autocorrelation",
        points=points,
    )
    return Topic(title="Seasons", text=text, tables=(table,) if rows else (), charts=(chart,) if most > 1 else ())


def levels(looked: Sequence[Looked]) -> Topic | None:
    """Return what becomes of levels and spreads; None where all columns are too short to say."""
    rows = tuple(
        (each.column.name, COURSES[each.level.course], each.level.kpss, each.level.move, each.level.spread)
        for each in looked
        if each.level is not None
    )
    columns = ("column", "what it does", "KPSS", "level moves by", "later / earlier spread")
    text = (
        "KPSS tests whether a level is kept (Kwiatkowski et al. 1992): by chance it then exceeds "
        f"{CRITICAL_LEVEL} once in 100. A level moves by so many standard deviations between the highest and the "
        "lowest mean of a fifth of the series."
    )
    table = Table(title="Levels and spreads, without seasons", columns=columns, rows=rows)
    return Topic(title="Levels", text=(text,), tables=(table,)) if rows else None


def drift(subject: Subject, drifts: Mapping[tuple[str, str], Drift]) -> Topic | None:
    """Return how other splits differ from train; None where that cannot be said."""
    rows = tuple(
        (name, split, each.mean, each.deviation, f"{each.shift:+.2f}", each.spread, f"{each.outside:.1%}")
        for name in subject.channels
        for (split, of), each in drifts.items()
        if of == name
    )
    columns = ("column", "split", "mean", "standard deviation", "shift", "times the spread", "outside")
    title = "Splits beside train: the mean's shift in its standard deviations, and values outside of all of its own"
    return Topic(title="Drift", tables=(Table(title=title, columns=columns, rows=rows),)) if rows else None


def _thinned(values: Values) -> tuple[tuple[float, float | None], ...]:
    """Return points (step, mean) of a series, at most so many; None where nothing is known."""
    edges = np.linspace(0, len(values), min(MOST_POINTS, len(values)) + 1).astype(int)
    points = []
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[first:end]
        known = part[~np.isnan(part)]
        points.append(((first + end - 1) / 2, float(known.mean()) if len(known) else None))
    return tuple(points)
