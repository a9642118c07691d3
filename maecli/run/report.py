"""The page of a run: what it learnt, how good it is, and how to repeat it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from maecli.errors import DamagedFile, Fault, MaeError
from maecli.outputs.faults import SKIPPED, read_faults
from maecli.progress import duration
from maecli.registry import Registry
from maecli.reports import numbers
from maecli.reports.charts import curves
from maecli.reports.page import Points, Section, render_report
from maecli.reports.payoff import QUESTION, Payoff, payoff_notes, payoff_sentences, payoff_table
from maecli.results import Drawing, Evaluation
from maecli.run.checkpoint import find_checkpoint
from maecli.run.compare.kept import payoff_of
from maecli.run.directory import REPORT, RunDirectory
from maecli.run.plugins_used import missing_packages
from maecli.run.suited import shell, suited_tasks
from maecli.storage.documents import dump_yaml
from maecli.text import number_of

VERBS = {"pretrain": "Pretrained", "finetune": "Fine-tuned"}
TITLES = {"test": "Test", "val": "Validation", "train": "Training data"}
"""In the order of the page."""


Metrics = Mapping[str, Sequence[tuple[float, float]]]
"""Metric → (step or epoch, value)."""


def history(run: RunDirectory, registry: Registry, say: Callable[[str], None]) -> dict[str, list[tuple[int, float]]]:
    """Return the run's metrics as far as its trackers can read them back, metric → (step, value).

    `say` is told of trackers that cannot be had.
    """
    spec = run.spec(say)
    metrics: dict[str, list[tuple[int, float]]] = {}
    for name in spec.get("trackers", ()):
        try:
            with missing_packages(spec, run):
                tracker = registry.tracker(name)
        except MaeError as error:
            say(f"what tracker {name!r} kept is left out: {error}")
        else:
            for problem in tracker.problems(run.path):
                say(problem)
            metrics = tracker.history(run.path) | metrics
    return metrics


def by_epoch(metrics: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, list[tuple[float, float]]]:
    """Return metrics by epoch instead of by step; by step where the run did not note its epochs."""
    epochs = [(step, epoch) for step, epoch in metrics.get("train/epoch", ()) if step]
    factor = epochs[-1][1] / epochs[-1][0] if epochs else 1.0
    return {name: [(step * factor, value) for step, value in points] for name, points in metrics.items()}


def labels_of(runs: Iterable[RunDirectory]) -> dict[str, str]:
    """Return what the metrics that were measured of runs are called, by their names."""
    evaluations = (one for run in runs for one in run.evaluations(lambda _: None))
    return {metric.name: metric.label for one in evaluations for metric in one.metrics}


def learning_curves(
    runs: Mapping[str, Metrics], x_label: str, labels: Mapping[str, str] | None = None
) -> list[Drawing]:
    """Return a drawing of the training losses of runs, and one of the first validation metric of the first run.

    `labels` are the metrics' names for people, as in tables.
    """
    first = next(iter(runs.values()), {})
    keys = ["train/loss", *[key for key in first if key.startswith("val/") and len(first[key]) > 1][:1]]
    drawings = []
    for key in keys:
        label, caption = "training loss", "Training loss, its mean since the last logged step."
        if key != "train/loss":
            name = key.removeprefix("val/")
            metric = (labels or {}).get(name, name)
            label, caption = f"validation {metric}", f"{metric[:1].upper()}{metric[1:]} on the validation split."
        series = {name: logged[key] for name, logged in runs.items() if logged.get(key)}
        if series:
            drawings.append(Drawing(name=label, caption=caption, png=curves(series, x_label, label, log_y=None)))
    return drawings


def run_sections(run: RunDirectory, registry: Registry) -> list[Section]:
    """Return what there is to show of a run: evaluations, test first, then probes and curves."""
    damaged: list[str] = []
    evaluations = [Section(_title(evaluation), [evaluation]) for evaluation in _in_order(run, damaged.append)]
    missing: list[str] = []
    drawings = learning_curves(
        {run.path.resolve().name: history(run, registry, missing.append)}, "step", labels_of([run])
    )
    return [
        *evaluations,
        *([Section("Left out", [Points(damaged)])] if damaged else []),
        Section("Training", [*drawings, *missing]),
    ]


def _in_order(run: RunDirectory, say: Callable[[str], None]) -> list[Evaluation]:
    """Return the evaluations of a run: those of its task, then the probes; of each, test first. On other data: last."""
    order = tuple(TITLES)
    return sorted(run.evaluations(say), key=lambda one: (one.data is not None, bool(one.probe), order.index(one.split)))


def _title(evaluation: Evaluation) -> str:
    title = f"{TITLES[evaluation.split]} ({number_of(evaluation.num_samples, 'sample')})"
    title = f"Probe {evaluation.probe}: {title[0].lower()}{title[1:]}" if evaluation.probe else title
    return f"{title} of other data, in {evaluation.data.folder}" if evaluation.data is not None else title


def describe_run(run: RunDirectory) -> str:
    """Return one sentence about a finished run."""
    try:
        summary = run.summary()
    except DamagedFile as error:
        return f"What this run said of itself cannot be read: {error}."
    if summary is None:
        return "This run is not finished."
    own = [one for one in _in_order(run, lambda _: None) if not one.probe and one.data is None]
    metric = own[0].metrics[0] if own else None
    headline = f" {TITLES[own[0].split]} {metric.label}: {numbers.format_metric(metric)}." if metric else ""
    steps = number_of(summary.steps, "step")
    ending = f" It {summary.ending}." if summary.ending else ""
    return (
        f"{VERBS.get(summary.verb, summary.verb)} on {summary.dataset} ({summary.task}), {steps} in "
        f"{duration(summary.seconds)} on {summary.device}, {summary.init}.{headline}{ending}"
    )


def next_commands(run: RunDirectory, registry: Registry) -> Sequence[tuple[str, str]]:
    """Return the commands that usually follow a run: of fine-tuning, for the tasks that its data can serve.

    Measuring on test is among them where there is a test split and that was not done.
    """
    spec, card = run.spec(lambda _: None), _card_of(run)
    measure = [shell("mae", "eval", run)] if _has_test_to_measure(run, card) else []
    if spec["verb"] != "pretrain":
        return [
            *((command, "measure it on the test split") for command in measure),
            (shell("mae", "infer", "FOLDER", "--run", run), "run it on your own files"),
        ]
    tasks = suited_tasks(tuple(map(str, card.get("fields", ()))), registry)
    labelled = [shell("mae", "finetune", "--task", task, "--init", run) for task in tasks]
    if not tasks:
        labelled = [shell("mae", "finetune", "--root", "LABELLED", "--task", "TASK", "--init", run)]
    return [
        *((command, "measure the reconstructions on the test split") for command in measure),
        *((command, "learn from labels, starting from this encoder") for command in labelled),
        (shell("mae", "infer", "FOLDER", "--run", run), "see how your own files are reconstructed"),
    ]


def _card_of(run: RunDirectory) -> Mapping[str, Any]:
    """Return what a checkpoint of the run records of its data; nothing where there is none that can be read."""
    try:
        return dict(find_checkpoint(run.path).metadata()["card"])
    except (MaeError, KeyError, TypeError, ValueError):
        return {}


def _has_test_to_measure(run: RunDirectory, card: Mapping[str, Any]) -> bool:
    """Whether the run has a test split, as far as is known, on which its task was not measured."""
    sizes = card.get("split_sizes")
    if isinstance(sizes, dict) and not sizes.get("test"):
        return False
    try:
        return run.evaluation("test") is None
    except DamagedFile:
        return True


def write_run_report(run: RunDirectory, registry: Registry, say: Callable[[str], None]) -> None:
    """Write `report.html` from what the run directory holds; `say` is told of what is damaged there."""
    payoff = payoff_of(run)
    page = render_report(
        run.path.resolve().name,
        describe_run(run) if payoff is None else with_payoff(describe_run(run), payoff),
        [*([payoff_section(payoff)] if payoff else []), *run_sections(run, registry)],
        spec_yaml=dump_yaml(run.spec(say)),
        environment=run.environment(say) or None,
        faults=run_faults(run),
        next_commands=next_commands(run, registry),
    )
    run.write(REPORT, page)


def with_payoff(sentences: str, payoff: Payoff) -> str:
    """Return what a page begins with: where pretraining did not pay, that comes first."""
    payoff_words = payoff_sentences(payoff)[0]
    return f"{sentences} {payoff_words}" if payoff.paid else f"{payoff_words} {sentences}"


def payoff_section(payoff: Payoff) -> Section:
    """Return the part of a page that lays a run beside its companions."""
    return Section(QUESTION, [" ".join(payoff_sentences(payoff)), payoff_table(payoff), Points(payoff_notes(payoff))])


def run_faults(run: RunDirectory) -> list[Fault]:
    """Return the files that the run could not read, with reasons; a damaged list is named instead of them."""
    try:
        return read_faults(run.path / SKIPPED)
    except DamagedFile as error:
        return [Fault(SKIPPED, error.reason)]
