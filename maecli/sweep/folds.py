"""`mae finetune --folds K`: a run for each part of the data, which is tested on it, then one that learns from all.

RUN/            the run that learns from all, made last; what its folds found together is `evaluation/folds.json`
RUN/folds/      folds.csv  fold-1/ … fold-K/  sweep.json  sweep.csv  sweep.png  report.html
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maecli.data.dataset import Dataset
from maecli.data.folds import Folds
from maecli.errors import DataError, MaeError, SpecError
from maecli.parallel.environment import note_begun
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.results import Evaluation
from maecli.run.begin.launch import Launch, find_place
from maecli.run.begin.start import find_start
from maecli.run.checkpoint import run_of
from maecli.run.data.leaks import leak_of, spec_of
from maecli.run.data.paths import INIT, place_of
from maecli.run.directory import RunDirectory
from maecli.run.open import check_task, make_dataset, with_paths
from maecli.run.report import write_run_report
from maecli.run.train import TrainResult, train
from maecli.schema import RunSpec
from maecli.storage.files import write_text
from maecli.storage.ledger import Ledger
from maecli.storage.tables import cell_text, csv_line
from maecli.sweep.definition import make_sweep
from maecli.sweep.outcome import read_evaluation
from maecli.sweep.plan import FOLD, Axis, Choice, Job, Plan
from maecli.sweep.pooled import NAME, pool
from maecli.sweep.report import WRITER
from maecli.sweep.run import run_sweep
from maecli.text import number_of

FOLDS, TABLE = "folds", "folds.csv"
COLUMNS = ("file", "fold")


def cross_validate(
    spec: RunSpec,
    registry: Registry,
    progress: Progress,
    launch: Launch,
) -> TrainResult:
    """Do the runs of all folds that are not finished, pool what they found, and learn from all of the data.

    The evaluation that is returned is the pooled one, and the time that of all runs.

    Raises DataError where the data cannot be dealt into the folds of the spec, SpecError for a directory that is not
    free, a spec that is not the one to resume, and for weights that were learnt from what the folds are tested on.
    """
    place = find_place(spec, registry, launch)
    run = place.run
    check_task(spec, registry)
    spec = with_paths(spec, registry)
    dataset = make_dataset(spec.dataset, registry, spec.paths, progress.say)
    folds = _dealt(dataset, spec, registry)
    notes = [*folds.remarks(), *_leaks(spec, dataset, folds, registry)]
    plan = plan_folds(spec, registry)
    for note in notes:
        progress.say(note)
    out = run.path / FOLDS
    with launch.hold(run.path, progress.say):
        if place.going_on:
            find_start(run, spec.model_dump(mode="json"), registry, progress.say)  # refuses another spec
        else:
            place.start(spec)
        note_begun()
        _begin(run, out, folds.assignment())
    with launch.hold(out, progress.say):
        result = run_sweep(plan, registry, progress, out, launch.until)
    if result.failed:
        failed = "; ".join(f"{name}: {why}" for name, why in result.failed.items())
        raise MaeError(
            f"{len(result.failed)} of {len(plan.jobs)} runs of the folds failed, so {run} is not made: {failed}"
        )
    runs = {job.name: RunDirectory(out / job.name) for job in plan.jobs if job.verb == spec.verb}
    pooled = _pooled(run, runs, registry, progress, notes)
    progress.say(f"\nthe run that learns from all: {run}")
    here = spec.model_copy(update={"out": run.path})
    again = Launch(resume=True, verify_data=launch.verify_data, until=launch.until)
    final = train(here, registry, progress, again)
    seconds = final.seconds + sum(RunDirectory(out / job.name).finished().seconds for job in plan.jobs)
    return replace(final, evaluation=pooled, seconds=seconds, folds=_found(runs))


def plan_folds(spec: RunSpec, registry: Registry) -> Plan:
    """Return the runs of the folds of a spec, each after a pretraining of its own where that is asked for."""
    num = spec.data.folds or 0
    choices = tuple(Choice(str(i), {spec.verb: {FOLD: i}}) for i in range(1, num + 1))
    verbs: dict[str, Any] = {"pretrain": {}} if spec.fold_pretrain else {}
    sweep = make_sweep({"name": FOLDS, "seeds": [spec.seed], **verbs, "finetune": {}})
    plan = Plan(sweep, (Axis("fold", choices),), varied=frozenset({FOLD}))
    before = _pretraining(spec, registry) if spec.fold_pretrain else None
    for number, choice in enumerate(choices, 1):
        point, name = {"fold": choice.label}, f"fold-{number}"
        job = Job("", point, name, _left_out(spec, spec, number))
        if before is not None:
            job.init = Job("", point, f"{name}-pretrain", _left_out(before, spec, number))
            job.spec = job.spec.model_copy(update={"init": None, "fold_pretrain": False})
            plan.jobs.append(job.init)
        plan.jobs.append(job)
    return plan


def _left_out(spec: RunSpec, finetune: RunSpec, number: int) -> RunSpec:
    """Return a spec whose run leaves out one fold of those of a fine-tuning."""
    data = spec.data.model_copy(update={"folds": finetune.data.folds, "fold": number})
    return spec.model_copy(update={"data": data, "out": None})


def _pretraining(spec: RunSpec, registry: Registry) -> RunSpec:
    """Return the spec of the pretraining of `init`. Raises SpecError where it cannot be done without a fold."""
    init = place_of(INIT, spec.init, spec.paths)
    run = run_of(init.expanduser()) if init is not None else None
    if run is None:
        raise SpecError(
            f"--fold-pretrain pretrains as a run of mae pretrain did, and --init {init} is none; leave it out"
        )
    before = spec_of(run, registry)
    if before.verb != "pretrain":
        raise SpecError(f"--fold-pretrain pretrains as the run of --init did, and {run} is a run of mae {before.verb}")
    roots = [make_dataset(one.dataset, registry, one.paths).root for one in (before, spec)]
    if before.dataset.name != spec.dataset.name or roots[0].resolve() != roots[1].resolve():
        raise SpecError(
            f"--fold-pretrain leaves each fold's test part out of the pretraining, and {run} learnt from other data; "
            "leave it out"
        )
    options = before.dataset.model_copy(update=spec.dataset.options)
    return before.model_copy(update={"dataset": options, "device": spec.device, "paths": (*before.paths, *spec.paths)})


def _dealt(dataset: Dataset, spec: RunSpec, registry: Registry) -> Folds:
    """Return the folds. Raises DataError where the data lack what the task needs, or have too little of it."""
    fields = registry.task(spec.task.name).fields
    dataset.card(fields)
    folds = Folds(dataset, spec.data.folds or 0)
    folds.assignment()
    return folds


def _leaks(spec: RunSpec, dataset: Dataset, folds: Folds, registry: Registry) -> list[str]:
    """Return what must be said of the weights of `init`. Raises SpecError where they know labels of the folds."""
    leak = None if spec.fold_pretrain else leak_of(spec, dataset, list(folds.assignment()), registry)
    if leak is None:
        return []
    if leak.with_labels:
        raise SpecError(
            f"--init {leak.init} learnt the labels of {leak.num:,} of {leak.num_tested:,} samples that the folds are "
            "tested on, so their figures would mean nothing; start from a pretraining, or from scratch"
        )
    return [f"{leak}; --fold-pretrain pretrains anew for each fold without its test part"]


def _begin(run: RunDirectory, out: Path, assignment: Mapping[str, int]) -> None:
    """Make the folder of the folds, or take the one that is there.

    Raises DataError where the samples are dealt out in another way than when it began.
    """
    run.ledger.claim(f"{FOLDS}/")
    ledger = Ledger(out, WRITER)
    table = "".join(map(csv_line, [COLUMNS, *((cell_text(key), fold) for key, fold in sorted(assignment.items()))]))
    if not ledger.began:
        ledger.begin()
        ledger.claim(TABLE)
        write_text(out / TABLE, table)
        return
    there, now = _read_table(out / TABLE), _rows(table)
    if there != now:
        changed = len({file for file, _ in there.items() ^ now.items()})
        raise DataError(
            f"{run} cannot go on: {number_of(changed, 'sample')} would be in another fold than when it began; "
            "bring back the data, or begin anew with another --out"
        )


def _read_table(path: Path) -> dict[str, str]:
    try:
        return _rows(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _rows(table: str) -> dict[str, str]:
    """Return the fold of each sample, as a table has it."""
    return {row[0]: row[-1] for row in csv.reader(table.splitlines()) if row}


def _pooled(
    run: RunDirectory, runs: Mapping[str, RunDirectory], registry: Registry, progress: Progress, notes: Sequence[str]
) -> Evaluation:
    """Return what the folds found together; it is measured once, and then kept in the run."""
    found = run.evaluation(NAME)
    if found is None:
        found = pool(runs, _found(runs), registry, progress, notes)
        run.write_evaluation(found)
        if run.is_finished:
            write_run_report(run, registry, progress.say)
    return found


def _found(runs: Mapping[str, RunDirectory]) -> dict[str, Evaluation]:
    """Return what each run of a fold found on its test part."""
    found = {name: read_evaluation(run, "test") for name, run in runs.items()}
    return {name: evaluation for name, evaluation in found.items() if evaluation is not None}
