"""The files of a sweep: sweep.json and sweep.csv after each run, pictures and the page at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from maecli.progress import Progress
from maecli.registry import Registry
from maecli.reports.charts import curves
from maecli.reports.page import Points, Section, render_report
from maecli.results import Drawing
from maecli.run.directory import RunDirectory
from maecli.run.report import by_epoch, history
from maecli.run.suited import shell
from maecli.spec.recipes import SWEEP
from maecli.storage.documents import dump_yaml
from maecli.storage.files import write_bytes, write_json, write_text
from maecli.storage.ledger import Ledger
from maecli.sweep.outcome import Outcome, read_evaluation
from maecli.sweep.plan import Axis, Job, Plan
from maecli.sweep.report import VERBS, point_title, splits_pictures, sweep_pictures, sweep_tables
from maecli.sweep.side_by_side import side_by_side

JSON, CSV, PNG, PAGE, PICTURES = "sweep.json", "sweep.csv", "sweep.png", "report.html", "pictures"
WRITER = "sweep"
MAX_CURVES = 12
"""On one chart."""


def write_outcome(out: Path, outcome: Outcome) -> None:
    """Write what is known so far."""
    Ledger(out, WRITER).claim(JSON, CSV)
    write_json(out / JSON, outcome.as_json())
    write_text(out / CSV, outcome.as_csv())


def write_page(
    out: Path,
    outcome: Outcome,
    plan: Plan,
    directories: Mapping[str, RunDirectory],
    registry: Registry,
    progress: Progress,
) -> None:
    """Write the pictures and `report.html`; `sweep.png` is the first of the pictures."""
    splits = plan.sweep.splits
    charts = sweep_pictures(outcome)
    by_split = splits_pictures(outcome, [*splits, "val"]) if set(splits) - {"test", "val"} else []
    curves = list(learning_pictures(plan, directories, registry, progress.say))
    compared = side_by_side(plan, directories, registry, progress) if plan.sweep.side_by_side else []
    pictures = {
        f"{picture.name.replace(' ', '-')}.png": picture for picture in (*charts, *by_split, *curves, *compared)
    }
    Ledger(out, WRITER).claim(PNG, PAGE, f"{PICTURES}/", *(f"{PICTURES}/{name}" for name in pictures))
    if charts:
        write_bytes(out / PNG, charts[0].png)
    (out / PICTURES).mkdir(exist_ok=True)
    for name, picture in pictures.items():
        write_bytes(out / PICTURES / name, picture.png)
    sections = [
        Section("Metrics", [*sweep_tables(outcome), *charts]),
        Section("On each split", by_split),
        Section("Side by side", compared),
        Section("Training", curves),
        Section("Runs that failed", [Points([f"{run}: {why}" for run, why in outcome.failed.items()])]),
    ]
    kept = [
        section
        for section in sections
        if any(not isinstance(each, Points) or each.sentences for each in section.content)
    ]
    runs = [(shell("mae", "runs", out), "list the runs, and lay two of them side by side")]
    page = render_report(
        outcome.name or "sweep",
        describe(plan, outcome),
        kept,
        spec_yaml=dump_yaml({SWEEP: plan.sweep.model_dump(mode="json", exclude_defaults=True)}),
        next_commands=runs,
    )
    write_text(out / PAGE, page)


def describe(plan: Plan, outcome: Outcome) -> str:
    """Return one sentence about the sweep."""
    varied = ", ".join(f"{axis.name} ({', '.join(each.label for each in axis.choices)})" for axis in plan.axes)
    num = len(outcome.seeds)
    seeds = f"one seed ({outcome.seeds[0]})" if num == 1 else f"{num} seeds"
    failed = f" {len(outcome.failed)} of them failed." if outcome.failed else ""
    return f"{varied or 'One point'}; {seeds}, {len(plan.jobs)} runs; weights of the last epoch.{failed}"


def learning_pictures(
    plan: Plan, directories: Mapping[str, RunDirectory], registry: Registry, say: Callable[[str], None]
) -> Iterator[Drawing]:
    """Yield for each verb and arm the training loss and the validation metric by epoch, test at the end of each.

    Only the first seed is drawn. `say` is told of curves that cannot be had.
    """
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in plan.jobs:
        if job.spec.seed == plan.sweep.seeds[0] and job.name in directories:
            groups.setdefault((job.verb, job.arm), []).append(job)
    for (verb, arm), jobs in groups.items():
        for start in range(0, len(jobs), MAX_CURVES):
            part = f"-{start // MAX_CURVES + 1}" if len(jobs) > MAX_CURVES else ""
            name = "-".join(filter(None, [verb, arm])) + part
            yield from _curves(name, jobs[start : start + MAX_CURVES], plan.axes, directories, registry, say)


def _curves(
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
        metrics = by_epoch(history(run, registry, say))
        title = point_title(job.point, axes) or job.arm or VERBS[job.verb]
        if metrics.get("train/loss"):
            losses[title] = metrics["train/loss"]
        test = read_evaluation(run, "test")
        if test is None:
            continue
        metric = test.metrics[0]
        label, unit = metric.label, metric.unit
        points = metrics.get(f"val/{metric.name}")
        if points:
            validation[title] = points
            ends[title] = (points[-1][0], metric.value)
    if losses:
        png = curves(losses, "epoch", "training loss", log_y=None)
        yield Drawing(name=f"loss-{name}", caption=f"{what}: training loss of each point, first seed.", png=png)
    if any(len(points) > 1 for points in validation.values()):
        png = curves(
            validation, "epoch", f"validation {label}", log_y=None, unit=unit, ends=ends, end_label="test, at the end"
        )
        caption = f"{what}: validation {label} of each point, first seed; the diamond is test, read once."
        yield Drawing(name=f"validation-{name}", caption=caption, png=png)
