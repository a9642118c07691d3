"""What the series of a data set show as a whole.

Shapes: T steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from maecli.data.card import DataCard
from maecli.data.sample import Split
from maecli.modalities.series.recording import Recorded
from maecli.modalities.series.study import shown, told
from maecli.modalities.series.study.copies import CopyOf, changes, find_copy
from maecli.modalities.series.study.drift import Drift, drift_of
from maecli.modalities.series.study.gaps import on_gaps
from maecli.modalities.series.study.levels import level_of
from maecli.modalities.series.study.seasons import find_seasons, without_seasons
from maecli.modalities.series.study.subject import Column, Looked, Subject, part_of
from maecli.modalities.study import Study

MOST_LAG = 1_000
"""Steps that a copy is looked for earlier or later, at most."""
MOST_PAIRS = 500
"""Pairs of columns that are compared."""


def study(splits: Mapping[str, Split], card: DataCard) -> Study | None:
    """Return what series show as a whole; None for windows of which is not known what they are cut from."""
    recordings = {name: split.recordings for name, split in splits.items() if isinstance(split, Recorded)}
    if not any(each.values.size for several in recordings.values() for each in several):
        return None
    subject = Subject(card, recordings)
    looked = [_look(subject, column) for column in subject.columns]
    drifts = {(split, name): drift for split, name, drift in _drifts(subject)}
    gaps, topics_of_gaps = on_gaps(subject)
    findings = [
        *told.on_copies(subject, [*_copies(looked)]),
        *told.on_drift(drifts),
        *gaps,
        *told.on_seasons(subject, looked),
        *told.on_levels(looked),
    ]
    topics = [
        shown.course(subject),
        *topics_of_gaps,
        shown.seasons(subject, looked),
        shown.levels(looked),
        shown.drift(subject, drifts),
    ]
    return Study(findings=tuple(findings), topics=tuple(topic for topic in topics if topic is not None))


def _look(subject: Subject, column: Column) -> Looked:
    values, steps = column.values, column.recording.steps
    seasons = find_seasons(values, subject.likely_seasons(steps))
    rest = without_seasons(values, seasons)
    return Looked(column, seasons, rest, level_of(rest, max((each.period for each in seasons), default=1)))


def _drifts(subject: Subject) -> Iterator[tuple[str, str, Drift]]:
    """Yield how each channel of each other split differs from train, over all series."""
    train = subject.recordings.get("train", ())
    for split, recordings in subject.recordings.items():
        for channel, name in enumerate(subject.channels if split != "train" else ()):
            parts = ([part_of(each, channel) for each in several] for several in (train, recordings))
            if (drift := drift_of(*parts)) is not None:
                yield split, name, drift


def _copies(looked: Sequence[Looked]) -> Iterator[CopyOf]:
    """Yield the columns of a series that copy each other: of the first so many pairs."""
    changed = [(each.column, changes(each.rest, each.column.values)) for each in looked]
    left = MOST_PAIRS
    for number, (first, one) in enumerate(changed):
        for second, other in changed[number + 1 :]:
            if one is None or other is None or first.recording is not second.recording or not left:
                continue
            left -= 1
            copy = find_copy(one, other, min(MOST_LAG, len(one) // 3))
            if copy is not None:
                early, late = (first, second) if copy.lag >= 0 else (second, first)
                yield CopyOf(early, late, abs(copy.lag), copy.correlation)
