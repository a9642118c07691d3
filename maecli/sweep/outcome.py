"""What came out of a sweep: each metric as mean and standard deviation over seeds, beside its baselines."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maecli.results import Evaluation, Metric, mean_metric
from maecli.run.directory import RunDirectory
from maecli.storage.tables import csv_line
from maecli.sweep.plan import Axis, Job, Plan


@dataclass(frozen=True)
class Row:
    """One metric of one arm at one point, on one split."""

    verb: str
    arm: str
    point: Mapping[str, str]
    """Axis → label, of the axes that matter to these runs."""
    split: str
    metric: Metric
    """Its value and its baselines are means over seeds; it has an interval where there is one seed."""
    sd: float | None
    """Sample standard deviation over seeds; None of one seed."""
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    """Seeds whose run failed or is not finished."""
    seconds: float
    """Mean time of training, the pretraining that it starts from included."""
    runs: tuple[str, ...]
    usual: bool = False
    """Whether the runs are as they would be without the grid."""
    trained_parameters: int = 0
    """How many learn; 0 where that was not recorded."""
    peak_memory: int = 0
    """The most memory in bytes that training took in any of the runs; 0 where that was not measured."""


@dataclass(frozen=True)
class Outcome:
    """All rows of a sweep. The first metric of a split is its headline."""

    name: str
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    splits: tuple[str, ...]
    rows: tuple[Row, ...]
    failed: Mapping[str, str]

    def headlines(self, verb: str, split: str | None = None) -> list[Row]:
        """Return one row per point and arm, of the first metric on a split, the first one that was asked for."""
        split = split or self.splits[0]
        first: dict[tuple[Any, ...], Row] = {}
        for row in self.rows:
            if (row.verb, row.split) == (verb, split):
                first.setdefault((row.arm, *row.point.items()), row)
        return list(first.values())

    def by_metric(self, verb: str, split: str | None = None) -> list[list[Row]]:
        """Return the headlines of a verb on a split, those of one metric together."""
        groups: dict[str, list[Row]] = {}
        for row in self.headlines(verb, split):
            groups.setdefault(row.metric.name, []).append(row)
        return [*groups.values()]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "name": self.name,
            "axes": [{"name": axis.name, "values": [choice.label for choice in axis.choices]} for axis in self.axes],
            "seeds": list(self.seeds),
            "rows": [
                {**asdict(row), "metric": row.metric.model_dump(mode="json"), "point": dict(row.point)}
                for row in self.rows
            ],
            "failed": dict(self.failed),
        }

    def as_csv(self) -> str:
        """Return one line per row; each baseline has two cells of one column, as `name value`."""
        axes = [axis.name for axis in self.axes]
        head = ["verb", "arm", *axes, "split", "metric", "unit", "mean", "sd", "low", "high", "num_seeds", "values"]
        head += ["baselines", "beats_baselines", "seconds", "trained_parameters", "peak_memory", "runs"]
        lines = [csv_line(head)]
        for row in self.rows:
            metric = row.metric
            low, high = metric.interval or ("", "")
            cells = [
                *(row.verb, row.arm, *(row.point.get(axis, "") for axis in axes), row.split, metric.name),
                *(metric.unit, metric.value, row.sd, low, high, len(row.seeds)),
                " ".join(map(repr, row.values)),
                "; ".join(f"{name} {value!r}" for name, value in metric.baselines.items()),
                *(metric.beats_baselines, round(row.seconds, 1), row.trained_parameters, row.peak_memory),
                " ".join(row.runs),
            ]
            lines.append(csv_line(cells))
        return "".join(lines)


def words(name: str) -> str:
    """Return a key as people read it."""
    return name.replace("_", " ")


def point_title(point: Mapping[str, str], axes: Sequence[Axis]) -> str:
    """Return what tells a point from the others: mask ratio 0.5, small."""
    numeric = {axis.name for axis in axes if axis.is_numeric}
    return ", ".join(f"{words(name)} {label}" if name in numeric else label for name, label in point.items())


def first_seed(plan: Plan, directories: Mapping[str, RunDirectory]) -> dict[tuple[str, str], list[Job]]:
    """Return the runs of the first seed that are there, by verb and arm."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in plan.jobs:
        if job.spec.seed == plan.sweep.seeds[0] and job.name in directories:
            groups.setdefault((job.verb, job.arm), []).append(job)
    return groups


def collect(plan: Plan, directories: Mapping[str, RunDirectory], failed: Mapping[str, str]) -> Outcome:
    """Return what the finished runs of a plan found so far."""
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in plan.jobs:
        groups.setdefault((job.verb, job.arm, *job.point.items()), []).append(job)
    rows = [row for jobs in groups.values() for row in _rows(jobs, directories, plan.sweep.splits)]
    return Outcome(plan.sweep.name, plan.axes, plan.sweep.seeds, plan.sweep.splits, tuple(rows), dict(failed))


def _rows(jobs: Sequence[Job], directories: Mapping[str, RunDirectory], splits: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of runs that differ in their seed only: the asked-for splits first, then validation."""
    for split in dict.fromkeys([*splits, "val"]):
        evaluations = {job: read_evaluation(directories.get(job.name), split) for job in jobs}
        measured = {job: evaluation for job, evaluation in evaluations.items() if evaluation is not None}
        for name in _metric_names(measured.values()):
            have = [(job, metric) for job, own in measured.items() for metric in own.metrics if metric.name == name]
            metric, sd = mean_metric([metric for _, metric in have])
            yield Row(
                verb=jobs[0].verb,
                arm=jobs[0].arm,
                point=jobs[0].point,
                split=split,
                metric=metric,
                sd=sd,
                values=tuple(metric.value for _, metric in have),
                seeds=tuple(job.spec.seed for job, _ in have),
                missing=tuple(job.spec.seed for job in jobs if job not in measured),
                seconds=statistics.fmean(seconds_of(job, directories) for job, _ in have),
                runs=tuple(directories[job.name].path.name for job, _ in have),
                usual=jobs[0].usual,
                trained_parameters=max(directories[job.name].finished().trained_parameters for job, _ in have),
                peak_memory=max(directories[job.name].finished().peak_memory for job, _ in have),
            )


def _metric_names(evaluations: Iterable[Evaluation]) -> list[str]:
    return list(dict.fromkeys(metric.name for evaluation in evaluations for metric in evaluation.metrics))


def read_evaluation(run: RunDirectory | None, split: str) -> Evaluation | None:
    """Return what was measured of a finished run on a split, without drawings; None where it was not."""
    return run.evaluation(split) if run is not None and run.is_finished else None


def seconds_of(job: Job, directories: Mapping[str, RunDirectory]) -> float:
    """Return the training time of a run with the pretraining that it starts from."""
    jobs = [job, *([job.init] if job.init else [])]
    summaries = [directories[one.name].summary() for one in jobs if one.name in directories]
    return sum(summary.seconds for summary in summaries if summary is not None)
