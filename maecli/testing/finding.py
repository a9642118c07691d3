"""Checks: each is one promise of a plugin, looked at by itself, and what came of it in one sentence."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from maecli.errors import MaeError

S = TypeVar("S")
OWN = Path(__file__).parents[1]
LIBRARIES = frozenset({"numpy", "PIL", "pydantic", "torch"})


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    problem: str | None
    """What is wrong, where, and what to do; None where the promise is kept."""
    note: str = ""
    """Why something was not looked at."""
    advice: str = ""
    """What would be better otherwise, though no promise is broken."""

    @property
    def status(self) -> str:
        return "broken" if self.problem else "advice" if self.advice else "skipped" if self.note else "ok"


class Broken(Exception):
    """A promise is broken; the text is the finding's sentence."""


class NotLookedAt(Exception):
    """A check has nothing to look at; the text says why."""


@dataclass(frozen=True)
class Check(Generic[S]):
    """One promise."""

    name: str
    look: Callable[[S], None]
    """Raises `Broken`, or `NotLookedAt`; whatever else it raises is a problem too."""
    after: tuple[str, ...]
    """Checks that have to find nothing first: what they look at is what this one stands on."""

    @property
    def promise(self) -> str:
        """Say what is promised."""
        return (self.look.__doc__ or "").strip().splitlines()[0]


class Checks(Generic[S]):
    """The promises of one kind of plugin, in the order in which they are looked at."""

    def __init__(self) -> None:
        self._checks: dict[str, Check[S]] = {}

    def __iter__(self) -> Iterator[Check[S]]:
        return iter(self._checks.values())

    def add(self, *after: str) -> Callable[[Callable[[S], None]], Callable[[S], None]]:
        """Return a decorator that adds a function as a check of its name."""

        def added(look: Callable[[S], None]) -> Callable[[S], None]:
            name = look.__name__.strip("_")
            self._checks[name] = Check(name, look, after)
            return look

        return added

    def find(self, name: str, subject: S, done: dict[str, Finding] | None = None) -> Finding:
        """Return what one check finds; those that it stands on come first, unless they are `done`."""
        done = {} if done is None else done
        if name not in done:
            check = self._checks[name]
            before = [self.find(other, subject, done) for other in check.after]
            reasons = [f"not looked at: {each.check} comes first" for each in before if each.problem is not None]
            reasons += [each.note for each in before if each.note]
            done[name] = Finding(name, None, reasons[0]) if reasons else _look(check, subject)
        return done[name]

    def find_all(self, subject: S) -> list[Finding]:
        done: dict[str, Finding] = {}
        return [self.find(check.name, subject, done) for check in self]


def _look(check: Check[S], subject: S) -> Finding:
    try:
        check.look(subject)
    except Broken as broken:
        return Finding(check.name, str(broken))
    except NotLookedAt as reason:
        return Finding(check.name, None, str(reason))
    except Exception as error:  # a plugin may raise anything; that is the finding
        return Finding(check.name, f"{check.promise.removesuffix('.')}; this fails: {describe_error(error)}")
    return Finding(check.name, None)


def describe_error(error: Exception) -> str:
    """Return an error in one line, with the place in the plugin's own code where there is one."""
    text = " ".join(str(error).split())
    if isinstance(error, MaeError):
        return text
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    theirs = [(path, line) for path, line in frames if OWN not in path.parents and not LIBRARIES & {*path.parts}]
    where = f" ({theirs[-1][0].name}, line {theirs[-1][1]})" if theirs else ""
    return f"{type(error).__name__}: {text}{where}"


def expect(kept: bool, sentence: str) -> None:
    """Raise `Broken` with a sentence unless a promise is kept."""
    if not kept:
        raise Broken(sentence)


def some(names: Iterable[object], most: int = 3) -> str:
    """Name the first few of many."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
