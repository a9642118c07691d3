"""Which run of a plan each directory of a sweep holds, and what is left to do of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maecli.errors import MaeError
from maecli.registry import Registry
from maecli.run.directory import RunDirectory
from maecli.schema import RunSpec
from maecli.spec.validate import validate
from maecli.sweep.plan import Job, Plan, identity_of, unused

OF_TIME = frozenset({"train.epochs", "train.max_steps"})
"""Keys that the time of other runs decides."""


class Shelf:
    """The run directories in a sweep's directory, and which run of the plan each one is."""

    def __init__(self, plan: Plan, registry: Registry, out: Path) -> None:
        self.plan, self.out = plan, out
        self._stored = dict(_stored_specs(out, registry))
        self.runs: dict[str, RunDirectory] = {}
        """The directory of each run of the plan that was begun, by the run's name."""
        for job in plan.jobs:
            name = self._match(job)
            if name is not None:
                self.runs[job.name] = RunDirectory(out / name)

    def is_finished(self, job: Job) -> bool:
        """Whether nothing of a run is left to do but measuring it."""
        return job.name in self.runs and self.runs[job.name].is_finished

    def state(self, job: Job) -> str:
        """Return what is there of a run, in words."""
        if job.name not in self.runs:
            return "new"
        if self.is_finished(job):
            return "finished, kept"
        last = next(iter(self.runs[job.name].checkpoints.steps()), None)
        return f"goes on at step {last.step}" if last else "begun, starts again"

    def complete(self, job: Job) -> RunSpec:
        """Return the spec of a run with everything that depends on other runs; those must be finished."""
        update: dict[str, Any] = {"out": self._place(job)}
        if job.init is not None:
            update["init"] = self.runs[job.init.name].path
        if job.time_of is not None:
            begun = self._stored.get(update["out"].name)  # a run that was begun keeps its schedule
            update["train"] = begun.train if begun else self._lengthened(job, *job.time_of)
        return job.spec.model_copy(update=update)

    def _lengthened(self, job: Job, pretrain: Job, finetune: Job) -> Any:
        """Return the training of a spec with as many epochs as fit the time of both runs, at the second one's pace."""
        seconds = {run.name: self.runs[run.name].finished().seconds for run in (pretrain, finetune)}
        factor = sum(seconds.values()) / max(seconds[finetune.name], 1e-9)
        own, other = job.spec.train, finetune.spec.train
        update: dict[str, Any] = {"epochs": max(1, round(other.epochs * factor))}
        if own.max_steps is not None:
            update["max_steps"] = max(1, round((other.max_steps or own.max_steps) * factor))
        return own.model_copy(update=update)

    def _place(self, job: Job) -> Path:
        if job.name in self.runs:
            return self.runs[job.name].path
        others = {other.name for other in self.plan.jobs} - {job.name}
        taken = {entry.name for entry in self.out.iterdir() if any(entry.iterdir() if entry.is_dir() else [True])}
        return self.out / unused(job.name, taken | others)

    def _match(self, job: Job) -> str | None:
        """Return the name of a directory that holds the run: its own name first, else any with the same spec."""
        names = [job.name, *self._stored]
        if job.time_of:  # its spec alone does not tell it from an ordinary run from scratch
            names = [name for name in names if name == job.name or name.startswith(f"{job.name}-")]
        taken = {run.path.name for run in self.runs.values()}
        return next((name for name in names if name not in taken and self._is(job, name)), None)

    def _is(self, job: Job, name: str) -> bool:
        stored = self._stored.get(name)
        if stored is None:
            return False
        ignored = self.plan.ignored | (OF_TIME if job.time_of else frozenset())
        mine, theirs = (identity_of(spec, ignored) for spec in (job.spec, stored))
        if job.init is not None:
            start = self.runs.get(job.init.name)
            if start is None or stored.init is None or stored.init.name != start.path.name:
                return False
            theirs["init"] = mine["init"]
        return mine == theirs


def _stored_specs(out: Path, registry: Registry) -> Iterator[tuple[str, RunSpec]]:
    """Yield name and spec of every run in a sweep's directory, those that are finished first."""
    runs = [RunDirectory(path) for path in sorted(out.iterdir())] if out.is_dir() else []
    for run in sorted(runs, key=lambda run: not run.is_finished):
        if not run.is_run:
            continue
        try:
            tree = run.spec(lambda _: None)
            yield run.path.name, validate(tree, tree["verb"], registry)
        except MaeError:  # of another version, or of a plugin that is gone: no run of this plan
            continue
