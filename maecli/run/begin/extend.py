"""Training a finished run longer: a new run, in a directory of its own, that goes on where that one ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maecli.errors import SpecError
from maecli.registry import Registry
from maecli.run.data.paths import EXTEND, place_of
from maecli.run.directory import RunDirectory, Say
from maecli.run.suited import shell
from maecli.schema import CHANGEABLE_ON_EXTEND, RunSpec
from maecli.spec.layers import Layer, difference
from maecli.spec.validate import validate
from maecli.storage.shareable import shareable
from maecli.training.checkpoint import Checkpoint
from maecli.training.tracker import Tracker

OWN = ("out", "extend", "plugins")
"""Keys of the spec of a run that say nothing of one that goes on from it."""


@dataclass(frozen=True)
class Parent:
    """A finished run, and its last weights."""

    run: RunDirectory
    checkpoint: Checkpoint

    @property
    def facts(self) -> dict[str, Any]:
        """What the run that goes on records of it."""
        return {"run": str(shareable(str(self.run.path))), "id": self.run.id, "step": self.checkpoint.step}


def longer(path: Path, verb: str) -> Layer:
    """Return the settings of a run as the base of one that goes on from it. Raises SpecError where it is no such run.

    A number of steps that it was to end after is left out: epochs say how long. It goes beside that run.
    """
    run = finished_run(path)
    stored = run.spec(lambda _: None)
    if stored.get("verb") != verb:
        raise SpecError(f"--extend {run} is a run of mae {stored.get('verb')}, not of mae {verb}")
    kept = {key: value for key, value in stored.items() if key not in OWN}
    changes = {"out": str(extended_name(path)), "train": {**stored["train"], "max_steps": None}}
    return Layer.of(f"spec of {run}", kept | changes)


def finished_run(path: Path) -> RunDirectory:
    """Return the run that a path names. Raises SpecError where there is none, or it is not finished."""
    run = RunDirectory(path.expanduser())
    if not run.is_run:
        raise SpecError(f"--extend {path} is not a run directory; give one of a finished run")
    if not run.is_finished:
        verb = run.spec(lambda _: None)["verb"]
        raise SpecError(f"--extend {run}: that run is not finished; resume it first: {resume_command(verb, run)}")
    return run


def resume_command(verb: str, run: RunDirectory) -> str:
    return shell("mae", verb, "--resume", "--out", run)


def parent_of(spec: RunSpec, registry: Registry, say: Say) -> Parent | None:
    """Return the run that a spec goes on from, None where it begins anew.

    Raises SpecError where the spec differs from that run's in more than how long and how fast it learns.
    """
    if spec.extend is None:
        return None
    run = finished_run(place_of(EXTEND, spec.extend, spec.paths, say) or spec.extend)
    before = run.spec(say)
    if before.get("verb") != spec.verb:
        raise SpecError(f"--extend {run} is a run of mae {before.get('verb')}, not of mae {spec.verb}")
    whole = validate(dict(before), spec.verb, registry)
    changed = _difference(whole.model_dump(mode="json"), spec.model_dump(mode="json"))
    if changed:
        raise SpecError(
            f"--extend {run} trains that run longer, with the same model, task and data; for others start from its "
            f"encoder, with --init {run}: {'; '.join(changed)}"
        )
    return Parent(run, run.checkpoints.current("last"))


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return difference(shareable(dict(old)), shareable(dict(new)), CHANGEABLE_ON_EXTEND)


def replay(trackers: Sequence[Tracker], history: Mapping[str, Sequence[tuple[int, float]]], until: int) -> None:
    """Log what another run logged up to a step, so that its curves and those of the run that goes on are one."""
    by_step: dict[int, dict[str, float]] = {}
    for name, points in history.items():
        for step, value in points:
            if step <= until:
                by_step.setdefault(step, {})[name] = value
    for step in sorted(by_step):
        for tracker in trackers:
            tracker.log(step, by_step[step])


def extended_name(path: Path) -> Path:
    """Return where a run that goes on from another one belongs: runs/x-extended, then runs/x-extended-2."""
    name = path.expanduser().absolute().name
    found = re.fullmatch(r"(.+-extended)(?:-(\d+))?", name)
    return path.with_name(f"{found[1]}-{int(found[2] or 1) + 1}" if found else f"{name}-extended")
