"""What a person is told of series: each finding in a sentence, with what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from maecli.modalities.series.study.copies import CopyOf
from maecli.modalities.series.study.drift import Drift
from maecli.modalities.series.study.levels import CRITICAL_LEVEL
from maecli.modalities.series.study.subject import Looked, Subject
from maecli.modalities.study import Finding
from maecli.text import capitalised, number_of, some

NAMED = 8


def on_copies(subject: Subject, copies: Sequence[CopyOf]) -> Iterator[Finding]:
    """Yield what to know of columns that copy others, those that look ahead first."""
    targets = set(subject.card.targets) or set(subject.channels)
    for copy in sorted(copies, key=lambda copy: copy.lag == 0):
        yield _on_copy(subject, copy, subject.channels[copy.late.channel] in targets)


def _on_copy(subject: Subject, copy: CopyOf, is_target: bool) -> Finding:
    early, late, by = copy.early.name, copy.late.name, subject.steps_in_words(copy.lag)
    alike = f"correlation {copy.correlation:.2f}"
    if not copy.lag:
        told = f"{early} and {late} all but copy each other ({alike}): one of them is enough."
    elif is_target:
        told = (
            f"{early} holds what {late} holds {by} later ({alike}), so it looks ahead: forecasts of {late} read the "
            f"answer from it; leave {early} out, unless it is known so early."
        )
    else:
        told = f"{late} holds what {early} held {by} before ({alike}): it tells nothing new, so leave it out."
    kind = "look ahead" if copy.lag and is_target else "copy"
    return Finding(kind=kind, of=(early, late), told=told)


def on_drift(drifts: Mapping[tuple[str, str], Drift]) -> Iterator[Finding]:
    """Yield what to know of each split that is not like train."""
    for split in dict.fromkeys(split for split, _ in drifts):
        own = {name: drift for (of, name), drift in drifts.items() if of == split}
        shifts = {name: each.shift for name, each in own.items() if each.shifts}
        spreads = {name: each.spread for name, each in own.items() if each.spreads}
        outside = {name: each.outside for name, each in own.items() if each.leaves}
        ways = [
            f"by its mean ({_each(shifts, '+.1f')} standard deviations of train)" if shifts else "",
            f"by its spread ({_each(spreads, '.2g')} times that of train)" if spreads else "",
            f"by values outside of all that train holds ({_each(outside, '.0%')})" if outside else "",
        ]
        if any(ways):
            told = (
                f"{capitalised(split)} is not like train, {', '.join(filter(None, ways))}: let each window be "
                f"normalised by itself, and read metrics of {split} beside persistence, which drifts along."
            )
            yield Finding(kind="drift", of=tuple({**shifts, **spreads, **outside}), told=told)


def _each(facts: Mapping[str, float], form: str) -> str:
    """Return the columns with their facts, those farthest from 0 first."""
    largest = sorted(facts, key=lambda name: -abs(facts[name]))
    return some([f"{name} {facts[name]:{form}}" for name in largest], NAMED)


def on_seasons(subject: Subject, looked: Sequence[Looked]) -> Iterator[Finding]:
    """Yield after how long columns repeat themselves, those that do alike in one sentence."""
    alike: dict[tuple[int, ...], list[Looked]] = defaultdict(list)
    for each in looked:
        if each.seasons:
            alike[tuple(season.period for season in each.seasons)].append(each)
    lookback = (subject.card.size or (0,))[0]
    for periods, those in alike.items():
        after = " and ".join(subject.steps_in_words(period) for period in periods)
        short = f"a look-back of {number_of(lookback, 'step')} is shorter than that" if lookback < periods[-1] else ""
        then = f"{short}: make it longer, and" if short else "let the look-back hold that, as it does, and"
        told = (
            f"{_subject_of(those)} {_verb(those, 'repeats itself', 'repeat themselves')} after {after}: {then} "
            "compare forecasts with the season before."
        )
        yield Finding(kind="season", of=tuple(_names(those)), told=told)


def on_levels(looked: Sequence[Looked]) -> Iterator[Finding]:
    """Yield what to know of columns whose level or spread moves."""
    courses: dict[str, list[Looked]] = defaultdict(list)
    for each in looked:
        if each.level is not None and each.level.course != "keep":
            courses[each.level.course].append(each)
    for course, those in courses.items():
        levels = [each.level for each in those if each.level is not None]
        verb, _, how = course.partition(" ")
        does = _verb(those, f"{verb}s {how}: its level moves", f"{course}: their levels move").replace(" :", ":")
        told = (
            f"{_subject_of(those)} {does} by up to {max(level.move for level in levels):.1f} standard deviations (KPSS "
            f"up to {max(level.kpss for level in levels):.1f}; by chance a level that is kept exceeds "
            f"{CRITICAL_LEVEL} once in 100). Let each window be normalised by itself, as forecasts do by default, and "
            "compare with persistence."
        )
        yield Finding(kind="level", of=tuple(_names(those)), told=told)
    spreading = [each for each in looked if each.level is not None and each.level.spreads]
    if spreading:
        times = [f"{each.column.name} {each.level.spread:.2g}" for each in spreading if each.level is not None]
        told = (
            f"The second half swings these times as much as the first: {some(times, NAMED)}. Errors differ with it: "
            "look at each split's own, and let windows be normalised by themselves."
        )
        yield Finding(kind="spread", of=tuple(_names(spreading)), told=told)


def _names(looked: Sequence[Looked]) -> list[str]:
    return [each.column.name for each in looked]


def _subject_of(looked: Sequence[Looked]) -> str:
    names = _names(looked)
    if len(names) == 1 or len(names) > NAMED:
        return some(names, NAMED)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _verb(looked: Sequence[Looked], one: str, many: str) -> str:
    return one if len(looked) == 1 else many
