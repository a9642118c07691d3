"""The classes of two data sets, matched by their names: numbers are those of a list, and mean nothing beyond it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from maecli.data.classes.alike import alike_key
from maecli.errors import DataError, nearest
from maecli.text import some

UNKNOWN = -1
"""In place of the number of a class that has none."""
MOST_NAMED = 8


@dataclass(frozen=True)
class ClassMatch:
    """Which classes of the data are which of a run."""

    theirs: tuple[str, ...]
    """Of the data."""
    ours: tuple[str, ...]
    """Of the run."""
    numbers: tuple[int, ...]
    """The run's number of each class of the data, `UNKNOWN` for one that it does not know."""

    @property
    def unknown(self) -> list[str]:
        """The classes of the data that the run does not know."""
        return [name for name, number in zip(self.theirs, self.numbers, strict=True) if number == UNKNOWN]

    @property
    def missing(self) -> list[str]:
        """The classes of the run that the data lack."""
        known = set(self.numbers)
        return [name for number, name in enumerate(self.ours) if number not in known]

    @property
    def alike(self) -> dict[str, str]:
        """The classes of the data, by names that are not quite the run's, and what the run calls them."""
        pairs = zip(self.theirs, self.numbers, strict=True)
        return {name: self.ours[number] for name, number in pairs if number != UNKNOWN and self.ours[number] != name}

    @property
    def is_same(self) -> bool:
        """Whether each number of the data means what it means to the run."""
        return self.numbers == tuple(range(len(self.ours)))

    @property
    def reordered(self) -> bool:
        """Whether the classes that both have stand in another order."""
        known = [number for number in self.numbers if number != UNKNOWN]
        return known != sorted(known)


def match_classes(theirs: Sequence[str], ours: Sequence[str]) -> ClassMatch:
    """Match the classes of data with those of a run: by equal names, then by names that are alike and the only such.

    Alike are names that differ in case, in blanks and underscores, in the form of their Unicode, or in how a number is
    written. Lists that are equal are matched whatever they hold. Raises DataError where a name stands for two classes,
    so that it tells neither.
    """
    if tuple(theirs) == tuple(ours):
        return ClassMatch(tuple(theirs), tuple(ours), tuple(range(len(ours))))
    for names, whose in ((theirs, "the data have"), (ours, "the run has")):
        if twice := [name for name, num in Counter(names).items() if num > 1]:
            raise DataError(
                f"{whose} more than one class called {twice[0]!r}, and classes are matched by their names; give each "
                "a name of its own"
            )
    number_of = {name: number for number, name in enumerate(ours)}
    numbers = [number_of.get(name, UNKNOWN) for name in theirs]
    free = Counter(alike_key(name) for name in theirs if name not in number_of)
    taken = set(theirs)
    candidates = Counter(alike_key(name) for name in ours if name not in taken)
    by_key = {alike_key(name): number for name, number in number_of.items() if name not in taken}
    for i, name in enumerate(theirs):
        if numbers[i] == UNKNOWN and free[alike_key(name)] == candidates[alike_key(name)] == 1:
            numbers[i] = by_key[alike_key(name)]
    return ClassMatch(tuple(theirs), tuple(ours), tuple(numbers))


def quoted(names: Sequence[str]) -> str:
    """Name the first few classes."""
    return some([repr(name) for name in names], MOST_NAMED)


def suggestion(name: str, match: ClassMatch) -> str:
    """Return an unknown class with the one of the run that it may be, if one is like it."""
    like = next((other for other in match.ours if alike_key(other) == alike_key(name)), "")
    hint = f"; did you mean {like!r}?" if like else nearest(name, match.missing)
    return f"{name!r} ({hint.removeprefix('; ')})" if hint else repr(name)


def describe_unknown(match: ClassMatch) -> str:
    """Say which classes of the data a run does not know, what it knows, and which of these the data lack."""
    names = match.unknown
    what = "a class" if len(names) == 1 else f"{len(names):,} classes"
    named = some([suggestion(name, match) for name in names], MOST_NAMED)
    lack = f", of which the data lack {quoted(match.missing)}" if match.missing else ""
    return f"the data have {what} that the run does not know: {named}; it knows {quoted(match.ours)}{lack}"


def describe_missing(match: ClassMatch) -> str:
    """Say which classes of a run the data lack, and what they have."""
    names = match.missing
    what = "a class" if len(names) == 1 else f"{len(names):,} classes"
    return f"the data lack {what} that the run knows: {quoted(names)}; they have {quoted(match.theirs)}"


def describe_change(now: Sequence[str], before: Sequence[str]) -> str:
    """Say how the classes of data differ from what they were, by name where each has one of its own."""
    if sorted(now) == sorted(before):
        return f"its data have their classes in another order now ({some(now, MOST_NAMED)})"
    new, gone = ([name for name in names if name not in others] for names, others in ((now, before), (before, now)))
    changes = [
        f"{quoted(names)} {'is' if len(names) == 1 else 'are'} {what}"
        for names, what in ((new, "new"), (gone, "gone"))
        if names
    ]
    return f"its data have other classes now ({', '.join(changes) or f'{len(now):,} of them'})"


def describe_match(match: ClassMatch, kind: str = "class") -> list[str]:
    """Return sentences about what a person should know of a match, without the classes that the run does not know."""
    sentences = [
        f"The {kind} {name!r} of the data is taken for {other!r} of the run." for name, other in match.alike.items()
    ]
    if match.reordered:
        sentences.append(f"The data have their {kind}es in another order than the run; they are matched by name.")
    if names := match.missing:
        verb, them = ("is", "it is") if len(names) == 1 else ("are", "they are")
        sentences.append(
            f"Of the run's {len(match.ours):,} {kind}es, {quoted(names)} {verb} not in the data: no sample says how "
            f"well {them} known."
        )
    return sentences
