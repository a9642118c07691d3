"""`mae sweep`: from what a person asks for to the runs that it takes, and to what came out of them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from maecli.errors import Interrupted, SpecError
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.place import data_name
from maecli.run.directory import runs_dir
from maecli.run.open import with_paths
from maecli.run.pages.runs import renew_runs_page
from maecli.spec.ask import Ask
from maecli.spec.layers import flatten
from maecli.spec.recipes import parse_sets
from maecli.storage.lock import locked
from maecli.storage.names import file_name
from maecli.sweep.definition import find_tree, make_sweep, parse_grid, parse_seeds
from maecli.sweep.estimate import estimate_seconds
from maecli.sweep.plan import GRID, Job, Plan, make_plan
from maecli.sweep.run import DEFINITION, SweepResult, begin, run_sweep, stored_tree
from maecli.sweep.shelf import OF_TIME, Shelf
from maecli.text import some
from maecli.verbs.train import Setting, settings_of

MOST_VALUES = 8
"""Of a key that varies, which are told."""


def plan_sweep(
    ask: Ask, registry: Registry, *, grid: Sequence[str] = (), seeds: str | None = None, without: Collection[str] = ()
) -> tuple[Plan, Path]:
    """Return the runs of the sweep that a recipe or file and the command line amount to, and where it goes.

    To go on with a sweep nothing has to be repeated but its directory: what is given lies over the sweep that is
    there; an axis of the grid takes the place of the one of the same key. An encoder that is given takes the place of
    pretraining. Raises SpecError when nothing says what varies.
    """
    flags = dict(ask.flags)
    out = Path(flags.pop("out")).expanduser() if "out" in flags else None
    if "init" in flags:
        flags["finetune.init"] = flags.pop("init")
        without = {*without, "pretrain"}
    tree = find_tree(registry, ask.recipe, ask.config)
    if not tree and ask.resume and out is not None:
        tree = stored_tree(out)
    if not tree and not grid and not flags:
        raise SpecError(
            "nothing says what to sweep over: give --grid KEY=VALUE,VALUE with --dataset, a --recipe or a --config "
            "file; mae recipes lists what is shipped"
        )
    tree |= {
        "settings": flatten(_mapping(tree, "settings")) | parse_sets(ask.sets) | flags,
        "grid": dict(_mapping(tree, "grid")) | parse_grid(grid),
    }
    if seeds is not None:
        tree["seeds"] = parse_seeds(seeds)
    if ask.resume and out is not None and (out / DEFINITION).is_file():
        tree["planned"] = stored_tree(out).get("planned") or {}  # a plan is made once
    tree |= dict.fromkeys(without, False)
    if "finetune" in without:
        tree.pop("arms", None)
    if set_now := {*parse_sets(ask.sets), *flags, *parse_grid(grid)}:
        tree["paths"] = [path for path in tree.get("paths") or () if not _is_set(path, set_now)]
    name = str(tree.get("name") or "")
    if name and not file_name(name):
        raise SpecError(f"{name!r} cannot be the name of a folder")
    plan = make_plan(make_sweep(tree | {"name": file_name(name)}), registry)
    if not plan.sweep.name:
        plan.sweep = plan.sweep.model_copy(update={"name": data_name(plan.jobs[0].spec, registry)})
    return plan, out or runs_dir() / f"sweep-{plan.sweep.name}"


def _is_set(path: Any, keys: Collection[str]) -> bool:
    """Whether what is given now says where a recorded path leads; of a sweep, keys may begin with a verb."""
    recorded = path.get("key") if isinstance(path, Mapping) else None
    return any(key == recorded or key.endswith(f".{recorded}") for key in keys)


def _mapping(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a part of the section. Raises SpecError when it is no mapping."""
    part = tree.get(key) or {}
    if not isinstance(part, Mapping):
        raise SpecError(f"sweep.{key} must be a YAML mapping")
    return part


def settings_of_plan(plan: Plan) -> Iterator[tuple[str, Setting]]:
    """Yield the settings of the runs of each verb and arm, a key once: one that varies with its values."""
    runs: dict[str, list[Job]] = {}
    for job in plan.jobs:
        runs.setdefault(" ".join(filter(None, [job.verb, job.arm])), []).append(job)
    for name, jobs in runs.items():
        values: dict[str, dict[str, str]] = {}
        for setting in itertools.chain.from_iterable(_settings(job, plan.varied) for job in jobs):
            values.setdefault(setting.key, {})[setting.value] = setting.source
        for key, sources in sorted(values.items()):
            yield name, Setting(key, some(sources, MOST_VALUES), ", ".join(dict.fromkeys(sources.values())))


def _settings(job: Job, varied: Collection[str]) -> Iterator[Setting]:
    """Yield the settings of a run; of those that other runs decide, which ones; `varied` are those of the grid."""
    for setting in settings_of(job.spec):
        if setting.source == GRID and setting.key not in varied:
            setting = setting._replace(source="sweep")
        if setting.key == "init" and job.init is not None:
            setting = setting._replace(value=job.init.name, source="sweep")
        if setting.key in OF_TIME and job.time_of is not None:
            value = f"what fits the time of {' and '.join(run.name for run in job.time_of)}"
            setting = setting._replace(value=value, source="sweep")
        if setting.key != "out":
            yield setting


def dry_run(plan: Plan, out: Path, registry: Registry, progress: Progress) -> list[dict[str, Any]]:
    """Return the runs of a plan, what is there of them, and how long they would take; write nothing."""
    seconds, shelf = estimate_seconds(plan, registry, progress), Shelf(plan, registry, out)
    return [
        {
            "run": job.name,
            "from": job.init.name if job.init else "scratch",
            "state": shelf.state(job),
            "estimated_seconds": 0.0 if shelf.is_finished(job) else seconds[job.name],
        }
        for job in plan.jobs
    ]


def sweep(
    plan: Plan, out: Path, registry: Registry, progress: Progress, *, resume: bool = False, overwrite: bool = False
) -> SweepResult:
    """Do the runs of a plan that are not there yet, and return what came out."""
    paths = [path for job in plan.jobs for path in with_paths(job.spec, registry).paths]
    begun = plan.sweep.model_copy(update={"paths": tuple(dict.fromkeys(paths))})
    with locked(out):
        begin(begun, out, resume=resume, overwrite=overwrite)
        try:
            result = run_sweep(plan, registry, progress, out)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; what is done in {out} is kept, and --resume goes on") from None
    renew_runs_page(progress.say, out)
    return result
