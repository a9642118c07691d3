"""What a person asks for, once the command line has read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maecli.spec.layers import Layer

COMPARISONS = ("scratch", "scratch-total-time", "none")


@dataclass(frozen=True)
class Ask:
    """Where the settings of a run come from, beside the defaults and the data set's recipe."""

    verb: str
    recipe: str | None = None
    config: Path | None = None
    sets: Sequence[str] = ()
    """As typed behind `--set`: a.b=c."""
    flags: Mapping[str, Any] = field(default_factory=dict)
    """What the flags set, by dotted key."""
    resume: bool = False
    resume_or_start: bool = False
    """Resume the run of this spec where it is there, whatever else is; so one command serves a scheduler each time."""
    compare: str | None = None
    """With which companions a fine-tuning is trained, one of `COMPARISONS`; None: those that it has."""
    for_time: bool = False
    """Whether a time says how long the run trains, and not a recipe."""
    plan: Layer | None = None
    """Over the defaults and below all else."""
    extra: Sequence[Layer] = ()
    """Over the file and below `--set`, as the grid of a sweep."""

    @property
    def may_resume(self) -> bool:
        """Whether a run that is there goes on."""
        return self.resume or self.resume_or_start
