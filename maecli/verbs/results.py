"""`mae results`: from run directories to records, and from those to the table that people read."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maecli.errors import DamagedFile, MaeError, SpecError
from maecli.registry import Registry
from maecli.reports.records import MARK, Record, results_table
from maecli.results import Evaluation
from maecli.run.begin.place import data_mark, data_name
from maecli.run.directory import SPEC, RunDirectory
from maecli.run.listing import find_runs, headline_evaluation
from maecli.schema import CHANGEABLE_ON_RESUME
from maecli.spec.ask import Ask
from maecli.spec.layers import difference, flatten
from maecli.spec.recipes import DEFAULTS
from maecli.spec.resolve import resolve
from maecli.spec.validate import validate
from maecli.storage.documents import read_json, read_json_object
from maecli.storage.files import disk_errors, write_json, write_text
from maecli.storage.shareable import shareable
from maecli.verbs.runs import whole_spec

SWEEP_JSON = "sweep.json"
NOT_COMPUTED = CHANGEABLE_ON_RESUME | {
    *("out", "seed", "version", "precision", "eval_every_epochs", "checkpoint.every_epochs"),
    "checkpoint.every_minutes",
}
"""Keys that do not change what is learnt, or stand elsewhere in a record."""


def add_results(paths: Sequence[Path], out: Path, registry: Registry) -> tuple[int, int]:
    """Add the finished runs in or below each path to the records beside `out`, and make the table anew.

    Returns how many records were written and how many there are. A record of the same run is replaced.
    """
    if out.suffix != ".md":
        raise SpecError(f"--out {out} must end with .md; the records go to a .json file beside it")
    out = out.expanduser()
    source = out.with_suffix(".json")
    if out.exists() and not _is_ours(out):
        raise SpecError(f"{out} was not written by mae results, so it stays; choose another --out")
    records = {record.key: record for record in read_records(source)}
    new = [record for path in paths for run in _finished(path) for record in make_records(run, registry)]
    records |= {record.key: record for record in new}
    ordered = sorted(records.values(), key=lambda record: (record.group, record.seed))
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_json(source, {"records": shareable([record.model_dump(mode="json") for record in ordered])})
    write_text(out, shareable(results_table(ordered, source.name)))
    return len(new), len(ordered)


def _is_ours(table: Path) -> bool:
    with disk_errors(table), table.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def read_records(source: Path) -> list[Record]:
    """Return the records of a file, none if there is no file. Raises SpecError for one that holds something else."""
    try:
        tree = read_json(source)
        return [Record.model_validate(record) for record in tree["records"]]
    except FileNotFoundError:
        return []
    except (DamagedFile, KeyError, TypeError, ValidationError) as error:
        raise SpecError(f"{source} holds no records of mae results; choose another --out") from error


def _finished(path: Path) -> list[RunDirectory]:
    """Return the finished runs in or below a path. Raises SpecError when there is none."""
    if not path.is_dir():
        raise SpecError(f"{path} is no run directory and no folder of runs")
    runs = [run for run in ([RunDirectory(path)] if RunDirectory(path).is_run else find_runs(path)) if run.is_finished]
    if not runs:
        raise SpecError(f"{path} holds no finished run")
    return runs


def make_records(run: RunDirectory, registry: Registry) -> list[Record]:
    """Return the records of a finished run: of its own task on test, else on validation, and of each probe."""
    headline = headline_evaluation(run)
    if headline is None or not headline.metrics:
        raise MaeError(f"{run} has no metrics; measure it by `mae eval {run}`")
    probes = [one for one in run.evaluations(lambda _: None) if one.probe and one.data is None]
    return [_make_record(run, evaluation, registry) for evaluation in (headline, *probes)]


def _make_record(run: RunDirectory, evaluation: Evaluation, registry: Registry) -> Record:
    spec, summary = whole_spec(run, registry), run.finished()
    environment = run.environment(lambda _: None)
    start = _start(run, spec)
    sweep, arm, point = _in_sweep(run)
    recipe, differences = ("", ()) if sweep else nearest_recipe(spec, start, registry)
    device, precision = summary.device, summary.precision
    computed = _identity(spec, registry)
    if sweep:  # where a run has the time of others, its length depends on the seed
        computed = {key: value for key, value in computed.items() if key not in ("train.epochs", "train.max_steps")}
    place = [sweep, arm, point, device, precision, evaluation.split, *filter(None, [evaluation.probe])]
    group = _digest([computed, _init_identity(spec, start, registry), *place])
    return Record(
        key=_digest([group, spec["seed"]]),
        group=group,
        run=run.path.resolve().name,
        verb=spec["verb"],
        dataset=data_name(validate(spec, spec["verb"], registry), registry),
        task=spec["task"]["name"],
        model=spec["model"]["name"],
        recipe=recipe,
        differences=tuple(differences),
        sweep=sweep,
        arm=arm,
        point=point,
        init=_init_words(spec, start, registry),
        seed=spec["seed"],
        split=evaluation.split,
        probe=evaluation.probe,
        num_samples=evaluation.num_samples,
        weights=evaluation.weights,
        ema=spec["train"]["ema_decay"] is not None,
        metrics=evaluation.metrics,
        seconds=summary.seconds,
        trained_parameters=summary.trained_parameters,
        peak_memory=summary.peak_memory,
        pretrain_seconds=before.seconds if start and (before := start.summary()) else 0.0,
        device=device,
        precision=precision,
        version=str(environment.get("mae", "")),
        revision=environment.get("git_revision"),
        finished=datetime.datetime.fromtimestamp(summary.finished_at, datetime.UTC).date().isoformat(),
    )


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def _identity(spec: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """Return what a spec computes: no paths but that of data which only their folder tells from others, no seed."""
    computed = {key: value for key, value in flatten(spec).items() if key not in NOT_COMPUTED}
    data = data_mark(validate(dict(spec), spec["verb"], registry), registry)
    return computed if data == spec["dataset"]["name"] else computed | {"data": data}


def _start(run: RunDirectory, spec: Mapping[str, Any]) -> RunDirectory | None:
    """Return the run that `init` names, by its directory or a checkpoint in it, if it is still there."""
    if not spec.get("init"):
        return None
    path = Path(spec["init"])
    places = [path, *list(path.parents)[:3], run.path.parent / path.name]
    return next((RunDirectory(place) for place in places if (place / SPEC).is_file()), None)


def _init_identity(spec: Mapping[str, Any], start: RunDirectory | None, registry: Registry) -> Any:
    if start is not None:
        return _identity(whole_spec(start, registry), registry)
    return Path(spec["init"]).name if spec.get("init") else None


def _init_words(spec: Mapping[str, Any], start: RunDirectory | None, registry: Registry) -> str:
    if not spec.get("init"):
        return "from scratch" if spec["verb"] == "finetune" else ""
    if start is None:
        return f"from {Path(spec['init']).name}"
    before = start.read_spec()
    return f"from {before['verb']}ing on {data_name(validate(before, before['verb'], registry), registry)}"


def _in_sweep(run: RunDirectory) -> tuple[str, str, dict[str, str]]:
    """Return the name of the sweep that a run belongs to, its arm and its point; empty for a run of its own."""
    file = run.path.resolve().parent / SWEEP_JSON
    try:
        outcome = read_json_object(file)
        for row in outcome["rows"]:
            if run.path.resolve().name in row["runs"]:
                return str(outcome["name"]), str(row["arm"]), dict(row["point"])
    except FileNotFoundError:
        pass
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(file, "is no outcome of a sweep") from error
    return "", "", {}


NEAR = 5
"""Keys in which a run may differ from another recipe than its data set's and still be called by it."""


def nearest_recipe(
    spec: Mapping[str, Any], start: RunDirectory | None, registry: Registry
) -> tuple[str, Sequence[str]]:
    """Return the recipe that a run differs from in the fewest keys, and these as `key: recipe's -> run's`.

    One that is not the data set's own has to be near: what was planned is like another recipe by accident.
    """
    dataset, task = spec["dataset"]["name"], spec["task"]["name"]
    offered = start.read_spec() if start and spec["verb"] == "finetune" else None
    best: tuple[str, Sequence[str]] | None = None
    own = _own_recipe(dataset, registry) or DEFAULTS  # it wins where others are as near
    for name in sorted(registry.names("recipe"), key=lambda name: (name != own, name)):
        flags = {"dataset.name": dataset} | ({"task.name": task} if spec["verb"] == "finetune" else {})
        try:
            recipe = resolve(Ask(spec["verb"], recipe=name, flags=flags), registry, offered)
        except MaeError:  # for another verb, or for other data
            continue
        lines = difference(recipe.model_dump(mode="json"), spec, NOT_COMPUTED)
        if best is None or (len(lines) < len(best[1]) and len(lines) <= NEAR):
            best = name, lines
    return best or (DEFAULTS, [])


def _own_recipe(dataset: str, registry: Registry) -> str | None:
    try:
        return registry.dataset(dataset).recipe
    except MaeError:
        return None
