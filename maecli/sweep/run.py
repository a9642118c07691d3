"""`mae sweep`: do the runs that are not there yet, one after the other, and keep what came out.

runs/sweep-NAME/    sweep.yaml  one run directory for each run  sweep.json  sweep.csv  sweep.png  report.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maecli.errors import Interrupted, MaeError, SpecError, TimeIsUp
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.launch import Launch
from maecli.run.directory import clear_runs
from maecli.run.evaluate import evaluate
from maecli.run.train import train
from maecli.spec.recipes import SWEEP, read_file, read_sweep
from maecli.storage.documents import dump_yaml
from maecli.storage.files import write_text
from maecli.storage.ledger import Ledger, is_bare
from maecli.sweep.definition import Sweep
from maecli.sweep.outcome import Outcome, collect
from maecli.sweep.plan import Job, Plan
from maecli.sweep.report import WRITER, write_outcome, write_page
from maecli.sweep.shelf import Shelf

DEFINITION = "sweep.yaml"


@dataclass
class SweepResult:
    """A sweep that has come to its end, whatever became of its runs."""

    out: Path
    outcome: Outcome
    failed: dict[str, str] = field(default_factory=dict)
    """Run → what went wrong."""
    found: Sequence[str] = ()
    """What it found, in sentences."""


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
    document = {SWEEP: sweep.model_dump(mode="json", exclude_defaults=True)}
    ledger.claim(DEFINITION)
    write_text(out / DEFINITION, dump_yaml(document))


def _is_older_sweep(out: Path) -> bool:
    try:
        return bool(stored_tree(out))
    except MaeError:
        return False


def run_sweep(plan: Plan, registry: Registry, progress: Progress, out: Path, until: float = math.inf) -> SweepResult:
    """Do every run of the plan that is not finished in `out`, measure it, and write what came out.

    A run that fails is noted, and so are those that need it; the others go on. Raises Interrupted when a signal stops
    it, or TimeIsUp when training is to have stopped by `until`: everything that is done is kept.
    """
    shelf = Shelf(plan, registry, out)
    failed: dict[str, str] = {}
    before = sum(map(shelf.is_finished, plan.jobs))
    for number, job in enumerate(plan.jobs, 1):
        missing = [other.name for other in job.needs if other.name in failed]
        if missing:
            failed[job.name] = f"needs {missing[0]}, which failed"
            continue
        progress.say(f"\n{number} of {len(plan.jobs)}: {job.name}")
        try:
            _do(job, shelf, plan, registry, progress, until)
        except Interrupted as stop:
            if isinstance(stop, TimeIsUp):
                stop.progressed |= sum(map(shelf.is_finished, plan.jobs)) > before
            raise
        except MaeError as error:
            failed[job.name] = str(error)
            progress.say(f"failed: {error}")
        write_outcome(out, collect(plan, shelf.runs, failed))
    outcome = collect(plan, shelf.runs, failed)
    found = write_page(out, outcome, plan, shelf.runs, registry, progress)
    return SweepResult(out, outcome, failed, found)


def _do(job: Job, shelf: Shelf, plan: Plan, registry: Registry, progress: Progress, until: float) -> None:
    """Bring one run to its end and measure it on the splits that are not measured yet."""
    if not shelf.is_finished(job):
        spec = shelf.complete(job)
        if spec.out is not None:
            Ledger(shelf.out, WRITER).claim(f"{spec.out.name}/")
        shelf.runs[job.name] = train(spec, registry, progress, Launch(resume=True, until=until)).run
    run = shelf.runs[job.name]
    for split in plan.sweep.splits:
        if not (run.path / "evaluation" / f"{split}.json").exists():
            progress.say(f"measuring {job.name} on {split}")
            device, precision = job.spec.device, job.spec.precision
            evaluate(run.path, registry, progress, split=split, device=device, precision=precision)
