"""The page of a run: what it learnt, how good it is, and how to repeat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maecli.errors import DamagedFile, Fault, MaeError
from maecli.outputs.faults import SKIPPED, read_faults
from maecli.progress import duration
from maecli.registry import Registry, registry
from maecli.reports import numbers
from maecli.reports.page import render_report
from maecli.run.card.write import write_run_card
from maecli.run.checkpoint import find_checkpoint
from maecli.run.compare.arms import SCRATCH, claimed
from maecli.run.directory import REPORT, RunDirectory, Summary, data_called
from maecli.run.pages.lead import lead
from maecli.run.pages.measured import TITLES, Measured, evaluations_of, headline_of
from maecli.run.pages.sections import run_sections
from maecli.run.suited import shell, suited_tasks, target_follows
from maecli.storage.documents import dump_yaml
from maecli.text import number_of

FILES = "YOUR-FOLDER"
"""What stands for files of a person in a command."""
ANNOTATIONS = {"label", "mask", "target"}
"""Fields of a sample that a task can learn from."""
VERBS = {"pretrain": "Pretrained", "finetune": "Fine-tuned"}


def describe_run(run: RunDirectory) -> str:
    """Return one sentence about a finished run."""
    try:
        summary = run.summary()
    except DamagedFile as error:
        return f"What this run said of itself cannot be read: {error}."
    if summary is None:
        return "This run is not finished."
    own = headline_of(evaluations_of(run))
    metric = own.metrics[0] if own else None
    headline = f" {TITLES[own.split]} {metric.label}: {numbers.format_metric(metric)}." if own and metric else ""
    steps = number_of(summary.steps, "step")
    ending = f" It {summary.ending}." if summary.ending else ""
    return (
        f"{VERBS.get(summary.verb, summary.verb)} on {_data(run, summary)} ({summary.task}), {steps} in "
        f"{duration(summary.seconds)} on {summary.device}, {summary.init}.{headline}{ending}"
    )


def _data(run: RunDirectory, summary: Summary) -> str:
    """Return what the data of a run are called, where its spec can be read."""
    try:
        return data_called(run.spec(lambda _: None), registry())
    except DamagedFile:
        return summary.dataset


def next_commands(run: RunDirectory, registry: Registry) -> Sequence[tuple[str, str]]:
    """Return the commands that usually follow a run: of fine-tuning, for the tasks that its data can serve.

    Measuring on test is among them where there is a test split and that was not done.
    """
    spec, card = run.spec(lambda _: None), _card_of(run)
    measure = [shell("mae", "eval", run)] if _has_test_to_measure(run, card) else []
    if spec["verb"] != "pretrain":
        return [
            *((command, "measure it on the test split") for command in measure),
            *([_comparison(run)] if _can_be_compared(run, spec) else []),
            (shell("mae", "infer", FILES, "--run", run), "run it on your own files"),
        ]
    infer = shell("mae", "infer", FILES, "--run", run)
    fills = _fills(spec, registry)
    return [
        *((command, "measure it on the test split") for command in measure),
        *([(infer, "fill in what is missing in your own files")] if fills else []),
        *((command, "learn from labels, starting from this encoder") for command in _from_labels(run, card, registry)),
        *([] if fills else [(infer, "see what it makes of your own files")]),
    ]


def _fills(spec: Mapping[str, Any], registry: Registry) -> bool:
    """Whether a run learnt to fill in what is missing, as far as its task can be loaded."""
    try:
        return registry.task(spec["task"]["name"]).fills
    except MaeError:
        return False


def _from_labels(run: RunDirectory, card: Mapping[str, Any], registry: Registry) -> list[str]:
    """Return the commands that fine-tune the encoder of a run: on its own data, and without labels on labelled ones."""
    fields = {str(field) for field in card.get("fields", ())}
    tasks = suited_tasks(fields, registry, ahead=target_follows(card))
    own = [shell("mae", "finetune", "--task", task, "--init", run) for task in tasks]
    if fields & ANNOTATIONS:
        return own
    with_labels = [task for task in suited_tasks({*fields, "label"}, registry) if task not in tasks] or ["TASK"]
    data = "--root", _labelled(card, registry), "--task", with_labels[0]
    return [*own, shell("mae", "finetune", "--init", run, *data)]


def _labelled(card: Mapping[str, Any], registry: Registry) -> str:
    """Return what stands for a folder of labelled samples: YOUR-LABELLED-PICTURES."""
    try:
        unit = registry.modality(str(card.get("modality"))).unit
    except MaeError:
        unit = "samples"
    return f"YOUR-LABELLED-{unit.upper()}"


def _can_be_compared(run: RunDirectory, spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("init")) and not spec.get("extend") and not claimed(run)


def _comparison(run: RunDirectory) -> tuple[str, str]:
    command = shell("mae", "finetune", "--resume", "--out", run, "--compare", SCRATCH)
    return command, "train the same from random weights, and say whether pretraining paid"


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
    """Write `report.html`, and the model card, from what the run directory holds; `say` is told of what is damaged."""
    measured = Measured(run, registry)
    page = render_report(
        run.path.resolve().name,
        lead(measured) or [describe_run(run)],
        run_sections(measured),
        made=[describe_run(run)],
        spec_yaml=dump_yaml(run.spec(say)),
        environment=run.environment(say) or None,
        faults=run_faults(run),
        next_commands=next_commands(run, registry),
    )
    run.write(REPORT, page)
    write_run_card(run, registry, say)


def run_faults(run: RunDirectory) -> list[Fault]:
    """Return the files that the run could not read, with reasons; a damaged list is named instead of them."""
    try:
        return read_faults(run.path / SKIPPED)
    except DamagedFile as error:
        return [Fault(SKIPPED, error.reason)]
