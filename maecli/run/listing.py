"""What run directories there are: each in short, sorted, filtered, and as rows."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from maecli.errors import DamagedFile, MaeError, SpecError, nearest
from maecli.progress import duration
from maecli.registry import Registry, registry
from maecli.reports.numbers import format_metric
from maecli.results import Evaluation, Metric
from maecli.run.directory import SPEC, SUMMARY, RunDirectory, Say, data_called, data_in_words, recorded_path, runs_dir

T = TypeVar("T")


@dataclass(frozen=True)
class RunEntry:
    """One run directory, in short."""

    name: str
    """Path below the folder that was listed."""
    verb: str
    dataset: str
    data: str
    """What its data are called: as the data set, or as the folder of a person."""
    task: str
    model: str
    state: str
    """finished, or unfinished and at which step."""
    seed: int
    split: str
    """What the headline was measured on; empty where nothing is measured."""
    headline: Metric | None
    seconds: float | None
    finished: str
    """Date and time, empty for a run that is not finished."""
    problem: str = ""
    """What is damaged there."""
    finished_at: float = 0.0
    """In seconds since 1970; 0 for a run that is not finished."""
    path: Path = Path()
    """Where it is."""
    init: str = ""
    """What it started from, as its spec says; empty for random weights."""

    def as_json(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        plain = {key: value for key, value in asdict(self).items() if key not in ("finished_at", "path", "init")}
        return plain | {"headline": self.headline.model_dump(mode="json") if self.headline else None}

    def cells(self) -> tuple[str, ...]:
        """Return the entry as a row of a table."""
        what = f"{self.verb} {self.data} {self.task} {self.model}, seed {self.seed}"
        finished = self.seconds is not None and self.state == "finished"
        state = f"{self.finished}, {duration(self.seconds or 0.0)}" if finished else self.state
        metric = f"{self.headline.label} {format_metric(self.headline)}, {self.split}" if self.headline else ""
        return self.name, what, state, metric

    def plain_cells(self) -> tuple[str | int | float, ...]:
        """Return a value for each of `CSV_COLUMNS`."""
        metric = self.headline
        low, high = (metric.interval if metric else None) or ("", "")
        return (
            *(self.name, self.verb, self.dataset, self.data, self.task, self.model, self.seed),
            *(self.state, self.finished),
            "" if self.seconds is None else self.seconds,
            *((self.split, metric.name, metric.value, low, high, metric.unit) if metric else ("",) * 6),
            *(self.init, self.problem),
        )


COLUMNS = ("run", "what", "finished, time", "headline (95% interval)")
"""Of `RunEntry.cells`."""
CSV_COLUMNS = (
    *("run", "verb", "dataset", "data", "task", "model", "seed", "state", "finished", "seconds"),
    *("split", "metric", "value", "low", "high", "unit", "init", "problem"),
)
FILTERS = ("run", "verb", "dataset", "data", "task", "model", "seed", "state")
"""Columns that a filter may name."""


def _order_of_headline(entry: RunEntry) -> tuple[Any, ...]:
    """By metric, the best at the end; first those without one."""
    if entry.headline is None or entry.headline.value != entry.headline.value:
        return (False,)
    sign = 1 if entry.headline.better == "higher" else -1
    return True, entry.headline.label, sign * entry.headline.value


ORDERS: dict[str, Callable[[RunEntry], Any]] = {
    "finished": lambda entry: entry.finished_at,
    "run": lambda entry: entry.name,
    "dataset": lambda entry: (entry.dataset, entry.finished_at),
    "data": lambda entry: (entry.data, entry.finished_at),
    "task": lambda entry: (entry.task, entry.finished_at),
    "model": lambda entry: (entry.model, entry.finished_at),
    "seconds": lambda entry: entry.seconds or 0.0,
    "headline": _order_of_headline,
}


def sort_runs(entries: Iterable[RunEntry], order: str, reverse: bool = False) -> list[RunEntry]:
    """Return runs in one of `ORDERS`. Raises SpecError for another one."""
    if order not in ORDERS:
        raise SpecError(f"--sort {order} is none of {', '.join(ORDERS)}{nearest(order, ORDERS)}")
    return sorted(entries, key=ORDERS[order], reverse=reverse)


def filter_runs(entries: Iterable[RunEntry], filters: Sequence[str]) -> list[RunEntry]:
    """Return the runs that fit every filter, `COLUMN=PATTERN` with * and ? as in a shell, capitals or not.

    A state fits by its first word too: `state=unfinished`. Raises SpecError for what is no filter.
    """
    patterns = [_pattern(text) for text in filters]
    return [entry for entry in entries if all(_fits(entry, *pattern) for pattern in patterns)]


def _pattern(text: str) -> tuple[str, str]:
    column, equals, pattern = text.partition("=")
    if not equals or not pattern:
        raise SpecError(f"--filter {text} is not COLUMN=PATTERN, such as task=classify or run='*cifar*'")
    if column not in FILTERS:
        raise SpecError(
            f"--filter {text}: {column!r} is no column to filter by{nearest(column, FILTERS)}; "
            f"there are {', '.join(FILTERS)}"
        )
    return column, pattern.lower()


def _fits(entry: RunEntry, column: str, pattern: str) -> bool:
    text = str(entry.plain_cells()[CSV_COLUMNS.index(column)]).lower()
    return fnmatchcase(text, pattern) or (column == "state" and fnmatchcase(text.partition(",")[0], pattern))


def runs_csv(entries: Iterable[RunEntry]) -> str:
    """Return a row for each run below `CSV_COLUMNS`, numbers in full."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(CSV_COLUMNS)
    rows.writerows(entry.plain_cells() for entry in entries)
    return buffer.getvalue()


def list_runs(root: Path) -> list[RunEntry]:
    """Return every run in or below a folder, or the one that it is; those that finished last at the end."""
    if not root.is_dir():
        raise SpecError(f"{root} is no folder; give one that holds run directories, or set MAE_RUNS")
    return sort_runs((describe(run, root) for run in find_runs(root)), "finished")


def list_several(roots: Sequence[Path]) -> list[RunEntry]:
    """Return the runs of several folders, each once, named by their paths as they were given."""
    entries: dict[Path, RunEntry] = {}
    for root in roots:
        for entry in list_runs(root):
            entries.setdefault(entry.path.resolve(), replace(entry, name=str(entry.path)))
    return sort_runs(entries.values(), "finished")


def find_runs(root: Path) -> Iterator[RunDirectory]:
    """Yield the run directories in or below a folder, by name; those inside another run where the folder is that run.

    A run whose spec is damaged is one, too.
    """
    for file in sorted(root.glob(f"**/{SPEC}")):
        run = RunDirectory(file.parent)
        if run.is_run and not _is_part_below(run, root):
            yield run


def run_around(path: Path) -> RunDirectory | None:
    """Return the innermost run that a path lies inside of, as its folds do; None where it lies in none.

    A run counts that is marked as one: a person may keep a spec.yaml of their own above their runs.
    """
    runs = (RunDirectory(folder) for folder in path.resolve().parents)
    return next((run for run in runs if run.ledger.began), None)


def _is_part_below(run: RunDirectory, root: Path) -> bool:
    """Whether a run is part of another one below a folder."""
    whole = run_around(run.path)
    return whole is not None and root.resolve() in whole.path.parents


def newest_run(task: str | None, plugins: Registry, say: Say, instead: str) -> Path:
    """Return the newest finished run of a task, and say which it is.

    Raises SpecError where no task is named, with what could be given `instead`.
    """
    if task is None:
        raise SpecError(f"give {instead}, or --task TASK to take the newest finished run of that task")
    try:
        run = newest_finished_run(task, runs_dir())
    except MaeError as error:
        plugins.listing("task", task)  # a task that is not there is the better reason
        way = f"train one with `mae {plugins.task(task).verb} --task {task}`, or name one with --run"
        raise MaeError(f"{error}; {way}") from error
    say(f"using {run}, the newest finished run of task {task}, trained on {data_in_words(run)}")
    return run.path


def newest_finished_run(task: str, root: Path) -> RunDirectory:
    """Return the run of `task` under `root` that finished last, no part of another. Raises MaeError without one."""
    runs: list[tuple[float, RunDirectory]] = []
    for file in root.glob(f"**/{SUMMARY}"):
        run = RunDirectory(file.parent)
        with contextlib.suppress(DamagedFile):  # another one will do
            summary = run.summary()
            if summary is not None and summary.task == task and run_around(run.path) is None:
                runs.append((summary.finished_at, run))
    if not runs:
        raise MaeError(f"no finished run of task {task!r} under {root}")
    return max(runs, key=lambda pair: pair[0])[1]


def describe(run: RunDirectory, root: Path) -> RunEntry:
    """Return a run in short, its name relative to `root`."""
    problems: list[str] = []
    try:
        spec = run.spec(problems.append)
    except MaeError as error:
        return RunEntry(
            _name(run, root), "?", "?", "?", "?", "?", "damaged", 0, "", None, None, "", str(error), path=run.path
        )
    summary = _sound(run.summary, problems)
    evaluation = _sound(lambda: headline_evaluation(run), problems)
    state = "damaged" if problems else "finished" if summary else _unfinished(run)
    return RunEntry(
        name=_name(run, root),
        verb=spec["verb"],
        dataset=spec["dataset"]["name"],
        data=data_called(spec, registry()),
        task=spec["task"]["name"],
        model=spec["model"]["name"],
        state=state,
        seed=spec.get("seed", 0),
        split=evaluation.split if evaluation else "",
        headline=evaluation.metrics[0] if evaluation and evaluation.metrics else None,
        seconds=summary.seconds if summary else None,
        finished=datetime.fromtimestamp(summary.finished_at).isoformat(" ", "minutes") if summary else "",
        problem="; ".join(problems),
        finished_at=summary.finished_at if summary else 0.0,
        path=run.path,
        init=_start(spec),
    )


def _start(spec: Mapping[str, Any]) -> str:
    """Return where the weights that a run started from were, or the run that it extends, by what was recorded then."""
    key = "extend" if spec.get("extend") else "init"
    return recorded_path(spec, key) or str(spec.get(key) or "")


def _sound(read: Callable[[], T], problems: list[str]) -> T | None:
    """Return what `read` returns, None where a file is damaged, which is noted."""
    try:
        return read()
    except DamagedFile as error:
        problems.append(str(error))
        return None


def _name(run: RunDirectory, root: Path) -> str:
    return str(run.path.relative_to(root)) if run.path != root else run.path.resolve().name


def _unfinished(run: RunDirectory) -> str:
    try:
        last = run.checkpoints.pointed("last")
    except MaeError:
        last = None
    return f"unfinished, step {last.step}" if last else "unfinished, nothing saved"


def headline_evaluation(run: RunDirectory) -> Evaluation | None:
    """Return what was measured of the run's own task: on test, else by its folds, else on validation; no drawings."""
    return run.evaluation("test") or run.evaluation("folds") or run.evaluation("val")
