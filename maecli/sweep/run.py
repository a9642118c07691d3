"""`mae sweep`: do the runs that are not there yet, one after the other, and keep what came out.

runs/sweep-NAME/    sweep.yaml  one run directory for each run  sweep.json  sweep.csv  sweep.png  report.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maecli.errors import Interrupted, MaeError, SpecError
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.directory import SUMMARY, RunDirectory, clear_runs
from maecli.run.evaluate import evaluate
from maecli.run.train import train
from maecli.schema import RunSpec
from maecli.spec.recipes import SWEEP, read_file, read_sweep
from maecli.spec.validate import validate
from maecli.storage.documents import dump_yaml
from maecli.storage.files import write_text
from maecli.storage.ledger import Ledger, is_bare
from maecli.sweep.definition import Sweep
from maecli.sweep.outcome import Outcome, collect
from maecli.sweep.plan import Job, Plan, identity_of, unused
from maecli.sweep.write import WRITER, write_outcome, write_page

DEFINITION = "sweep.yaml"
_OF_TIME = frozenset({"train.epochs", "train.max_steps"})
"""Keys that the time of other runs decides."""


@dataclass
class SweepResult:
    """A sweep that has come to its end, whatever became of its runs."""

    out: Path
    outcome: Outcome
    failed: dict[str, str] = field(default_factory=dict)
    """Run → what went wrong."""


def stored_tree(out: Path) -> dict[str, Any]:
    """Return the section of the sweep that was begun in a directory. Raises SpecError when there is none."""
    if not (out / DEFINITION).is_file():
        raise SpecError(f"{out} holds no sweep: it has no {DEFINITION}")
    return read_sweep(read_file(out / DEFINITION), str(out / DEFINITION)) or {}


def begin(sweep: Sweep, out: Path, *, resume: bool, overwrite: bool) -> None:
    """Make the directory of a sweep, or take the one that is there.

    Raises SpecError for one that is not empty, unless it holds a sweep that is to be resumed or overwritten.
    """
    if resume and overwrite:
        raise SpecError("--resume keeps the runs that are there and --overwrite deletes them; give one of them")
    ledger = Ledger(out, WRITER)
    if out.is_dir() and not is_bare(out):
        if not ledger.began and not _is_older_sweep(out):
            raise SpecError(f"{out} is not empty and holds no sweep, so it stays; use another --out")
        if not resume and not overwrite:
            raise SpecError(f"{out} holds a sweep already; use --resume to go on with it, or another --out")
        if overwrite:
            if not ledger.began or "adopted" in ledger.about:
                raise SpecError(
                    f"{out} holds a sweep of an older mae, which did not note what it wrote, so --overwrite removes "
                    "nothing there; remove it by hand, or use another --out"
                )
            clear_runs(ledger)
    if not ledger.began:
        ledger.begin(**({"adopted": True} if _is_older_sweep(out) else {}))
    asked = {SWEEP: sweep.model_dump(mode="json", exclude_defaults=True)}
    ledger.claim(DEFINITION)
    write_text(out / DEFINITION, dump_yaml(asked))


def _is_older_sweep(out: Path) -> bool:
    try:
        return bool(stored_tree(out))
    except MaeError:
        return False


def run_sweep(plan: Plan, registry: Registry, progress: Progress, out: Path) -> SweepResult:
    """Do every run of the plan that is not finished in `out`, measure it, and write what came out.

    A run that fails is noted, and so are those that need it; the others go on. Raises Interrupted when a signal stops
    it: everything that is done is kept.
    """
    shelf = Shelf(plan, registry, out)
    failed: dict[str, str] = {}
    for number, job in enumerate(plan.jobs, 1):
        missing = [each.name for each in job.needs if each.name in failed]
        if missing:
            failed[job.name] = f"needs {missing[0]}, which failed"
            continue
        progress.say(f"\n{number} of {len(plan.jobs)}: {job.name}")
        try:
            _do(job, shelf, plan, registry, progress)
        except Interrupted:
            raise
        except MaeError as error:
            failed[job.name] = str(error)
            progress.say(f"failed: {error}")
        write_outcome(out, collect(plan, shelf.runs, failed))
    outcome = collect(plan, shelf.runs, failed)
    write_page(out, outcome, plan, shelf.runs, registry, progress)
    return SweepResult(out, outcome, failed)


def _do(job: Job, shelf: Shelf, plan: Plan, registry: Registry, progress: Progress) -> None:
    """Bring one run to its end and measure it on the splits that are not measured yet."""
    if not shelf.is_finished(job):
        spec = shelf.complete(job)
        if spec.out is not None:
            Ledger(shelf.out, WRITER).claim(f"{spec.out.name}/")
        shelf.runs[job.name] = train(spec, registry, progress, resume=True).run
    run = shelf.runs[job.name]
    for split in plan.sweep.splits:
        if not (run.path / "evaluation" / f"{split}.json").exists():
            progress.say(f"measuring {job.name} on {split}")
            device, precision = job.spec.device, job.spec.precision
            evaluate(run.path, registry, progress, split=split, device=device, precision=precision)


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
        return job.name in self.runs and (self.runs[job.name].path / SUMMARY).exists()

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
        seconds = {each.name: _seconds(self.runs[each.name]) for each in (pretrain, finetune)}
        factor = sum(seconds.values()) / max(seconds[finetune.name], 1e-9)
        own, other = job.spec.train, finetune.spec.train
        update: dict[str, Any] = {"epochs": max(1, round(other.epochs * factor))}
        if own.max_steps is not None:
            update["max_steps"] = max(1, round((other.max_steps or own.max_steps) * factor))
        return own.model_copy(update=update)

    def _place(self, job: Job) -> Path:
        if job.name in self.runs:
            return self.runs[job.name].path
        others = {each.name for each in self.plan.jobs} - {job.name}
        taken = {entry.name for entry in self.out.iterdir() if any(entry.iterdir() if entry.is_dir() else [True])}
        return self.out / unused(job.name, taken | others)

    def _match(self, job: Job) -> str | None:
        """Return the name of a directory that holds the run: its own name first, else any with the same spec."""
        names = [job.name, *self._stored]
        if job.time_of:  # its spec alone does not tell it from an ordinary run from scratch
            names = [name for name in names if name == job.name or name.startswith(f"{job.name}-")]
        given = {run.path.name for run in self.runs.values()}
        return next((name for name in names if name not in given and self._is(job, name)), None)

    def _is(self, job: Job, name: str) -> bool:
        stored = self._stored.get(name)
        if stored is None:
            return False
        ignored = self.plan.ignored | (_OF_TIME if job.time_of else frozenset())
        mine, theirs = (identity_of(spec, ignored) for spec in (job.spec, stored))
        if job.init is not None:
            start = self.runs.get(job.init.name)
            if start is None or stored.init is None or stored.init.name != start.path.name:
                return False
            theirs["init"] = mine["init"]
        return mine == theirs


def _stored_specs(out: Path, registry: Registry) -> Iterator[tuple[str, RunSpec]]:
    """Yield name and spec of every run in a sweep's directory, those that are finished first."""
    found = [RunDirectory(path) for path in sorted(out.iterdir())] if out.is_dir() else []
    for run in sorted(found, key=lambda run: not (run.path / SUMMARY).exists()):
        if not run.is_run:
            continue
        try:
            tree = run.spec(lambda _: None)
            yield run.path.name, validate(tree, tree["verb"], registry)
        except MaeError:  # of another version, or of a plugin that is gone: no run of this plan
            continue


def _seconds(run: RunDirectory) -> float:
    summary = run.summary()
    if summary is None:
        raise MaeError(f"{run} is not finished")
    return summary.seconds


def list_jobs(plan: Plan, shelf: Shelf, seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return for each run of the plan what would be done, and the seconds that it would take, for `--dry-run`."""
    rows: list[dict[str, Any]] = []
    for job in plan.jobs:
        start = job.init.name if job.init else "scratch"
        left = 0.0 if shelf.is_finished(job) else seconds[job.name]
        rows.append({"run": job.name, "from": start, "state": shelf.state(job), "estimated_seconds": left})
    return rows
