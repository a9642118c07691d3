"""The page and the tables of a sweep: each metric as mean ± standard deviation over seeds, beside its baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from maecli.errors import MaeError
from maecli.progress import Progress, duration
from maecli.registry import Registry
from maecli.reports.charts import Mark, bars_chart, curves, points_chart
from maecli.reports.numbers import format_mean, format_value
from maecli.reports.page import Points, Section, drawing_files, render_report
from maecli.results import Difference, Drawing, Table
from maecli.run.compare.pair import difference_between
from maecli.run.directory import RunDirectory
from maecli.run.pages.curves import by_epoch, history
from maecli.run.pages.links import link_to
from maecli.run.suited import shell
from maecli.spec.recipes import SWEEP
from maecli.storage.documents import dump_yaml
from maecli.storage.files import write_bytes, write_json, write_text
from maecli.storage.ledger import Ledger
from maecli.storage.shareable import shareable
from maecli.sweep.finding import finding, folds_finding
from maecli.sweep.outcome import Outcome, Row, first_seed, point_title, read_evaluation, words
from maecli.sweep.plan import Axis, Job, Plan
from maecli.sweep.side_by_side import side_by_side
from maecli.text import bytes_in_words, capitalised, number_of

VERBS = {"finetune": "Fine-tuning", "pretrain": "Pretraining"}
JSON, CSV, PNG, PAGE, PICTURES = "sweep.json", "sweep.csv", "sweep.png", "report.html", "pictures"
WRITER = "sweep"
MAX_CURVES = 12
"""On one chart."""


def write_outcome(out: Path, outcome: Outcome) -> None:
    """Write what is known so far."""
    Ledger(out, WRITER).claim(JSON, CSV)
    write_json(out / JSON, shareable(outcome.as_json()))
    write_text(out / CSV, outcome.as_csv())


def write_page(
    out: Path,
    outcome: Outcome,
    plan: Plan,
    directories: Mapping[str, RunDirectory],
    registry: Registry,
    progress: Progress,
) -> Sequence[str]:
    """Write `report.html` and the drawings on it; `sweep.png` is the first chart. Return what the sweep found."""
    charts = headline_charts(outcome)
    splits = [*plan.sweep.splits, "val"] if set(plan.sweep.splits) - {"test", "val"} else []
    samples = side_by_side(plan, directories, registry, progress) if plan.sweep.side_by_side else []
    failed = [f"{run}: {why}" for run, why in outcome.failed.items()]
    sections = [
        Section("Metrics", [*sweep_tables(outcome), *charts]),
        Section("On each split", split_charts(outcome, splits)),
        Section("Side by side", samples),
        Section("Training", [*learning_charts(plan, directories, registry, progress.say)]),
        Section("Runs that failed", [Points(failed)] if failed else []),
        Section("Runs", [*filter(None, (link_to(run, out, name) for name, run in directories.items()))]),
    ]
    files = {f"{PICTURES}/{name}": png for name, png in drawing_files(sections).items()}
    if charts:
        files[PNG] = charts[0].png
    Ledger(out, WRITER).claim(PAGE, f"{PICTURES}/", *files)
    (out / PICTURES).mkdir(exist_ok=True)
    for name, png in files.items():
        write_bytes(out / name, png)
    found = what_was_found(plan, outcome, directories, registry)
    page = render_report(
        outcome.name or "sweep",
        [*found, describe(plan, outcome)],
        sections,
        spec_yaml=dump_yaml({SWEEP: plan.sweep.model_dump(mode="json", exclude_defaults=True)}),
        next_commands=[(shell("mae", "runs", out), "list the runs, and lay two of them side by side")],
    )
    write_text(out / PAGE, page)
    return found


def what_was_found(
    plan: Plan, outcome: Outcome, directories: Mapping[str, RunDirectory], registry: Registry
) -> Sequence[str]:
    """Return the first sentences about a sweep."""
    if plan.is_folds:
        return folds_finding(outcome)
    runs = {run.path.name: run for run in directories.values()}

    def between(one: str, other: str) -> Difference | None:
        try:
            return difference_between(runs[one], runs[other], outcome.splits[0], registry)
        except MaeError:  # of runs that an older mae made, or whose files are damaged
            return None

    return finding(outcome, between)


def describe(plan: Plan, outcome: Outcome) -> str:
    """Return one sentence about the sweep."""
    values = {words(axis.name): ", ".join(choice.label for choice in axis.choices) for axis in plan.axes}
    varied = ", ".join(f"{name} ({labels})" for name, labels in values.items())
    num = len(outcome.seeds)
    seeds = f"one seed ({outcome.seeds[0]})" if num == 1 else f"{num} seeds"
    failed = f" {len(outcome.failed)} of them failed." if outcome.failed else ""
    return f"{varied or 'One point'}; {seeds}, {number_of(len(plan.jobs), 'run')}; weights of the last epoch.{failed}"


def sweep_tables(outcome: Outcome) -> list[Table]:
    """Return the headline metrics, a table for each verb, split and kind of metric: a row for each point and arm."""
    return [
        _table(outcome, rows, f"{VERBS[verb]}: {rows[0].metric.label}, {split}")
        for verb in VERBS
        for split in outcome.splits
        for rows in outcome.by_metric(verb, split)
    ]


def headline_charts(outcome: Outcome) -> list[Drawing]:
    """Return a chart of each verb's headline metric on the first split, what was learnt from labels first."""
    drawings = []
    for verb in VERBS:
        for rows in outcome.by_metric(verb):
            metric = rows[0].metric
            label = f"{metric.label}, {outcome.splits[0]}"
            direction = "" if metric.better == "higher" else " Lower is better."
            caption = f"{capitalised(label)}.{direction} {_spread(rows)}"
            png = _chart(rows, outcome.axes, label)
            drawings.append(Drawing(name=f"{verb}-{metric.name}", caption=caption, png=png))
    return drawings


def split_charts(outcome: Outcome, splits: Sequence[str]) -> list[Drawing]:
    """Return for each arm a chart of its headline metric on every split over the numeric axis, if there is one."""
    drawings = []
    for verb in VERBS:
        for arm in dict.fromkeys(row.arm for row in outcome.headlines(verb)):
            rows = [row for split in splits for row in outcome.headlines(verb, split) if row.arm == arm]
            axis = _numeric(rows, outcome.axes)
            if axis is None:
                continue
            series = _series(axis, ((" · ".join([row.split, *_labels(row, axis)]), row) for row in rows))
            metric = rows[0].metric
            png = points_chart(series, words(axis.name), metric.label, metric.unit)
            title = " · ".join(filter(None, [VERBS[verb], arm]))
            caption = f"{title}: {metric.label} on each split. {_spread(rows)}"
            drawings.append(Drawing(name="-".join(filter(None, ["splits", verb, arm])), caption=caption, png=png))
    return drawings


def learning_charts(
    plan: Plan, directories: Mapping[str, RunDirectory], registry: Registry, say: Callable[[str], None]
) -> Iterator[Drawing]:
    """Yield for each verb and arm the training loss and the validation metric by epoch, test at the end of each.

    Only the first seed is drawn. `say` is told of curves that cannot be had.
    """
    for (verb, arm), jobs in first_seed(plan, directories).items():
        for start in range(0, len(jobs), MAX_CURVES):
            part = f"-{start // MAX_CURVES + 1}" if len(jobs) > MAX_CURVES else ""
            name = "-".join(filter(None, [verb, arm])) + part
            yield from _learning(name, jobs[start : start + MAX_CURVES], plan.axes, directories, registry, say)


def _learning(
    name: str,
    jobs: Sequence[Job],
    axes: Sequence[Axis],
    directories: Mapping[str, RunDirectory],
    registry: Registry,
    say: Callable[[str], None],
) -> Iterator[Drawing]:
    losses: dict[str, list[tuple[float, float]]] = {}
    validation: dict[str, list[tuple[float, float]]] = {}
    ends: dict[str, tuple[float, float]] = {}
    label, unit = "", ""
    what = VERBS[jobs[0].verb] + (f", {jobs[0].arm}" if jobs[0].arm else "")
    for job in jobs:
        run = directories[job.name]
        logged = by_epoch(history(run, registry, say))
        title = point_title(job.point, axes) or job.arm or VERBS[job.verb]
        losses[title] = logged.get("train/loss", [])
        if (test := read_evaluation(run, "test")) is None:
            continue
        metric = test.metrics[0]
        label, unit = metric.label, metric.unit
        if points := logged.get(f"val/{metric.name}"):
            validation[title] = points
            ends[title] = (points[-1][0], metric.value)
    if losses := {title: points for title, points in losses.items() if points}:
        png = curves(losses, "epoch", "training loss", log_y=None)
        yield Drawing(name=f"loss-{name}", caption=f"{what}: training loss of each point, first seed.", png=png)
    if any(len(points) > 1 for points in validation.values()):
        y_label, end_label = f"validation {label}", "test, at the end"
        png = curves(validation, "epoch", y_label, log_y=None, unit=unit, ends=ends, end_label=end_label)
        caption = f"{what}: validation {label} of each point, first seed; the diamond is test, read once."
        yield Drawing(name=f"validation-{name}", caption=caption, png=png)


def format_seeds(row: Row) -> str:
    """Return how many seeds a mean is of, and which ones it lacks."""
    num = len(row.seeds)
    text = "one seed" if num == 1 else f"{num} seeds"
    return text if not row.missing else f"{text}, without {', '.join(map(str, row.missing))}"


def mark(row: Row) -> Mark:
    """Return what is drawn of a row: ± sd over seeds, or the 95% interval of one seed."""
    value = row.metric.value
    if row.sd is not None:
        return Mark(value, value - row.sd, value + row.sd)
    low, high = row.metric.interval or (value, value)
    return Mark(value, low, high)


def _table(outcome: Outcome, rows: Sequence[Row], title: str) -> Table:
    axes = [axis.name for axis in outcome.axes if any(axis.name in row.point for row in rows)]
    columns = {words(axis): [row.point.get(axis, "any") for row in rows] for axis in axes}
    if any(row.arm for row in rows):
        columns["arm"] = [row.arm for row in rows]
    value = "mean ± sd" if any(row.sd is not None for row in rows) else "value (95% interval)"
    columns[value] = [format_mean(row.metric, row.sd) for row in rows]
    columns["best baseline"] = [_written_baseline(row) for row in rows]
    if any(row.metric.beats_baselines is False for row in rows):
        columns[""] = ["does not beat it" if row.metric.beats_baselines is False else "" for row in rows]
    columns["seeds"] = [*map(format_seeds, rows)]
    columns["training time"] = [duration(row.seconds) for row in rows]
    if len({row.trained_parameters for row in rows}) > 1:
        columns["parameters that learn"] = [
            f"{row.trained_parameters:,}" if row.trained_parameters else "" for row in rows
        ]
        columns["peak memory"] = [
            bytes_in_words(row.peak_memory) if row.peak_memory else "not measured" for row in rows
        ]
    return Table(title=title, columns=tuple(columns), rows=tuple(zip(*columns.values(), strict=True)))


def _chart(rows: Sequence[Row], axes: Sequence[Axis], label: str) -> bytes:
    axis = _numeric(rows, axes)
    unit = rows[0].metric.unit
    if axis is None:
        names = [" · ".join(filter(None, [*row.point.values(), row.arm])) or row.verb for row in rows]
        strokes = {
            name: value for name, row in zip(names, rows, strict=True) if (value := _baseline(row)[1]) is not None
        }
        return bars_chart(dict(zip(names, map(mark, rows), strict=True)), label, unit, strokes, _baseline(rows[0])[0])
    named = [(" · ".join(filter(None, [*_labels(row, axis), row.arm])) or row.metric.label, row) for row in rows]
    levels = {name: mark(row) for name, row in named if axis.name not in row.point}
    known = [(_x(row, axis), *_baseline(row)) for row in rows if axis.name in row.point]
    baselines = {x: value for x, _, value in reversed(known) if value is not None}  # the first one of an x counts
    predictor = next((predictor for _, predictor, _ in known if predictor), "")
    baseline = (predictor, baselines) if baselines else None
    return points_chart(_series(axis, named), words(axis.name), label, unit, levels, baseline)


def _series(axis: Axis, named: Iterable[tuple[str, Row]]) -> dict[str, dict[float, Mark]]:
    """Return the marks of the rows that have a place on an axis, by the name of their series and that place."""
    series: dict[str, dict[float, Mark]] = {}
    for name, row in named:
        if axis.name in row.point:
            series.setdefault(name, {})[_x(row, axis)] = mark(row)
    return series


def _numeric(rows: Sequence[Row], axes: Sequence[Axis]) -> Axis | None:
    """Return the first axis of numbers of which the rows have at least two."""
    for axis in axes:
        if axis.is_numeric and len({row.point[axis.name] for row in rows if axis.name in row.point}) > 1:
            return axis
    return None


def _x(row: Row, axis: Axis) -> float:
    number = next(choice.number for choice in axis.choices if choice.label == row.point[axis.name])
    return float(number or 0.0)


def _labels(row: Row, axis: Axis) -> list[str]:
    """Return the point of a row but its place on an axis."""
    return [label for name, label in row.point.items() if name != axis.name]


def _baseline(row: Row) -> tuple[str, float | None]:
    """Return the strongest trivial predictor of a row."""
    name, value = row.metric.best_baseline or ("", None)
    return name.replace("_", " "), value


def _written_baseline(row: Row) -> str:
    name, value = _baseline(row)
    return "none" if value is None else f"{name} {format_value(value, row.metric.unit)}"


def _spread(rows: Sequence[Row]) -> str:
    """Return what the error bars are."""
    if any(row.sd is not None for row in rows):
        return "Bars are the standard deviation over seeds."
    if any(row.metric.interval for row in rows):
        return "One seed each; bars are the 95% interval over the samples."
    return "One seed each."
