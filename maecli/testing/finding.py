"""Promises of plugins, and what comes of looking at each: one sentence."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maecli.errors import MaeError

OWN = Path(__file__).parents[1]
LIBRARIES = frozenset({"numpy", "PIL", "pydantic", "torch"})


@dataclass(frozen=True)
class Finding:
    """What came of looking at one promise."""

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
    """There is nothing to look at; the text says why."""


class Advice(Exception):
    """A promise is kept, and the text says what would be better."""


Promise = Callable[[Any], None]
"""Takes a plugin with what it is tried on. Raises `Broken`, `NotLookedAt` or `Advice`; all else is a problem too.

Its name is the finding's, its docstring what is promised.
"""
Stages = tuple[tuple[Promise, ...], ...]
"""The promises of one kind of plugin; those of a stage stand on what is promised in the stages before it.

The first one needs no data.
"""


def names(stages: Stages) -> list[str]:
    """Return the names of the promises, in the order in which they are looked at."""
    return [promise.__name__ for stage in stages for promise in stage]


def find_all(stages: Stages, subject: Any) -> list[Finding]:
    """Return a finding for each promise; where one is broken, those of later stages are not looked at."""
    findings: list[Finding] = []
    for stage in stages:
        broken = [finding.check for finding in findings if finding.problem is not None]
        for promise in stage:
            if broken:
                findings.append(Finding(promise.__name__, None, f"not looked at: {broken[0]} comes first"))
            else:
                findings.append(_find(promise, subject))
    return findings


def _find(promise: Promise, subject: Any) -> Finding:
    name = promise.__name__
    try:
        promise(subject)
    except Broken as broken:
        return Finding(name, str(broken))
    except NotLookedAt as reason:
        return Finding(name, None, str(reason))
    except Advice as advice:
        return Finding(name, None, advice=str(advice))
    except Exception as error:  # a plugin may raise anything; that is the finding
        promised = (promise.__doc__ or "").strip().splitlines()[0].removesuffix(".")
        return Finding(name, f"{promised}; this fails: {describe_error(error)}")
    return Finding(name, None)


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


@contextlib.contextmanager
def must_work(what: str, way: str) -> Iterator[None]:
    """Raise `Broken` where the block fails: `what` fails, by which error, and the way out."""
    try:
        yield
    except Exception as error:
        raise Broken(f"{what}: {describe_error(error)}; {way}") from error
