"""Steps at which nothing is known, and rows that stand between steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from maecli.modalities.series.recording import Recording
from maecli.modalities.series.runs import runs
from maecli.modalities.series.study.subject import Subject
from maecli.modalities.study import Finding, Topic
from maecli.results import Table
from maecli.text import number_of, some

MOST_LISTED, NAMED = 20, 8


@dataclass(frozen=True)
class Gap:
    """A run of steps of a series at which a column, or all of them, lack a value."""

    recording: Recording
    column: str
    """Empty: all columns."""
    first: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.first


def on_gaps(subject: Subject) -> tuple[list[Finding], list[Topic]]:
    """Return what is to be said of gaps, and a topic of them where there are some."""
    rows = [gap for recording in subject.whole for gap in _gaps_of_rows(recording)]
    cells = {name: [*_gaps_of_cells(subject, channel)] for channel, name in enumerate(subject.channels)}
    findings = [*_on_rows(subject, rows), *_on_cells(subject, cells), *_on_rows_between(subject)]
    listed = sorted([*rows, *(gap for gaps in cells.values() for gap in gaps)], key=lambda gap: -gap.length)
    return findings, [Topic(title="Gaps", tables=(_table(subject, listed),))] if listed else []


def _on_rows(subject: Subject, gaps: list[Gap]) -> Iterator[Finding]:
    if gaps:
        missing, steps = sum(gap.length for gap in gaps), sum(each.values.shape[1] for each in subject.whole)
        longest = max(gaps, key=lambda gap: gap.length)
        where = f"{longest.recording.time(longest.first)}{_of(subject, longest)}"
        which = "The gap is" if len(gaps) == 1 else f"There are {len(gaps):,} gaps, the longest"
        told = (
            f"Nothing is known at {missing:,} of {number_of(steps, 'step')}. {which} "
            f"{subject.steps_in_words(longest.length)} long, from {where}: nothing is filled, and models learn from "
            "the rest; fill in what you know, or split the file at long gaps."
        )
        yield Finding(kind="gap", told=told)


def _on_cells(subject: Subject, cells: dict[str, list[Gap]]) -> Iterator[Finding]:
    steps = sum(each.values.shape[1] for each in subject.whole)
    shares = {name: sum(gap.length for gap in gaps) for name, gaps in cells.items() if gaps}
    if shares:
        most = sorted(shares, key=lambda name: -shares[name])
        longest = max((gap for gaps in cells.values() for gap in gaps), key=lambda gap: gap.length)
        each = some([f"{name} {shares[name]:,} ({shares[name] / steps:.1%})" for name in most], NAMED)
        told = (
            f"Values are missing of {each} where others are known, at most {number_of(longest.length, 'step')} in a "
            f"row: from {longest.recording.time(longest.first)}{_of(subject, longest)}, of {longest.column}. Models "
            "learn from the rest; leave out a column that lacks much."
        )
        yield Finding(kind="missing values", of=tuple(most), told=told)


def _on_rows_between(subject: Subject) -> Iterator[Finding]:
    nums = {each.name: each.steps.num_between for each in subject.whole if each.steps and each.steps.num_between}
    steps = subject.whole[0].steps
    if nums and steps is not None:
        num = sum(nums.values())
        stand, them = ("stands", "it") if num == 1 else ("stand", "them")
        are = "is" if num == 1 else "are"
        told = (
            f"Steps are irregular: {number_of(num, 'row')} of {some(nums)} {stand} between steps of {steps.words} and "
            f"{are} left out; bring the series to even steps before, as by means, to use {them}."
        )
        yield Finding(kind="irregular steps", told=told)


def _gaps_of_rows(recording: Recording) -> Iterator[Gap]:
    for first, end in runs(np.all(np.isnan(recording.values), axis=0)):
        yield Gap(recording, "", first, end)


def _gaps_of_cells(subject: Subject, channel: int) -> Iterator[Gap]:
    if subject.card.channels == 1:
        return
    for recording in subject.whole:
        missing = np.isnan(recording.values)
        for first, end in runs(missing[channel] & ~missing.all(0)):
            yield Gap(recording, subject.channels[channel], first, end)


def _of(subject: Subject, gap: Gap) -> str:
    return f" of {gap.recording.name}" if len(subject.whole) > 1 else ""


def _table(subject: Subject, gaps: list[Gap]) -> Table:
    listed = gaps[:MOST_LISTED]
    first = f", the {len(listed)} longest of {len(gaps):,}" if len(listed) < len(gaps) else ""
    rows = tuple(
        (
            gap.recording.name,
            gap.column or "all columns",
            gap.recording.time(gap.first),
            gap.recording.time(gap.end - 1),
            gap.length,
        )
        for gap in listed
    )
    return Table(title=f"Gaps{first}", columns=("series", "missing", "from", "to", "steps"), rows=rows)
