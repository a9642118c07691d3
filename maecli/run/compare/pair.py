"""A run and its companions on one split: their headlines, and how far these lie apart, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from maecli.errors import MaeError
from maecli.registry import Registry
from maecli.reports.payoff import Arm, Payoff
from maecli.results import Counted, Difference, Evaluation
from maecli.run.checkpoint import find_checkpoint
from maecli.run.compare.arms import SCRATCH, claimed, companion, seconds_before, start_of, title_of
from maecli.run.directory import RunDirectory
from maecli.run.open import make_task
from maecli.run.restore import read_record
from maecli.training.counted import load_counted
from maecli.training.evaluator import Evaluator

OTHER_SAMPLES = "{} was measured on other samples than the run, so the two are not compared sample by sample"

FOR_PRETRAINED = "both have train.layer_decay {:g}, which suits pretrained weights and slows the lower layers of others"
OF_EACH = (
    "the schedule is one but for train.layer_decay, planned for the weights that each starts from: {:g} after "
    "pretraining, which slows the lower layers, and {:g} for random ones"
)


def make_payoff(run: RunDirectory, name: str, registry: Registry) -> Payoff | None:
    """Return what was measured of a run and its companions by evaluations of this name.

    None where no companion from scratch was measured so. Raises MaeError where the run itself cannot be read.
    """
    evaluation = run.evaluation(name)
    if evaluation is None or not evaluation.metrics:
        return None
    spec, card, preprocess = read_record(find_checkpoint(run.path), registry, lambda _: None)
    task = make_task(spec, card, preprocess, registry)
    remarks = _on_layer_decay(run, spec.train.layer_decay)
    arms = []
    for arm in claimed(run):
        other = companion(run, arm)
        if (measured := _measured(other, name, remarks)) is None:
            continue
        difference = _difference(run, other, name, task.evaluator, remarks)
        arms.append((arm, _arm(title_of(arm, spec), other, measured, difference)))
    if not arms or arms[0][0] != SCRATCH:
        return None
    own = _arm("after pretraining", run, evaluation, None, root=True)
    return Payoff(
        split=evaluation.split,
        num_samples=evaluation.num_samples,
        one=preprocess.modality.one,
        many=preprocess.modality.unit,
        pretrained=own.model_copy(update={"before": seconds_before(spec)}),
        others=tuple(arm for _, arm in arms),
        own_pretraining=start_of(spec) is not None,
        remarks=tuple(remarks),
    )


def _on_layer_decay(run: RunDirectory, own: float) -> list[str]:
    """Return what is to be known of how the companions' lower layers learn, beside `own` of the run."""
    companions = [other for arm in claimed(run) if (other := companion(run, arm)).is_run]
    others = {float(other.spec(lambda _: None)["train"].get("layer_decay", 1.0)) for other in companions} - {own}
    if others:
        return [OF_EACH.format(own, max(others))]
    return [FOR_PRETRAINED.format(own)] if own < 1 else []


def difference_between(run: RunDirectory, other: RunDirectory, name: str, registry: Registry) -> Difference | None:
    """Return how far a run lies above another one of its task, measured by evaluations of one name on the same samples.

    None where that is not known. Raises MaeError where the run cannot be read.
    """
    spec, card, preprocess = read_record(find_checkpoint(run.path), registry, lambda _: None)
    task = make_task(spec, card, preprocess, registry)
    return _difference(run, other, name, task.evaluator, [])


def _measured(other: RunDirectory, name: str, remarks: list[str]) -> Evaluation | None:
    """Return what was measured of a companion; None, and why, where nothing was."""
    if not other.is_finished:
        remarks.append(f"{other.path.name} is not finished; --resume goes on with it")
        return None
    evaluation = other.evaluation(name)
    if evaluation is None or not evaluation.metrics:
        remarks.append(f"{other.path.name} is not measured on {name}")
        return None
    return evaluation


def _arm(
    title: str, run: RunDirectory, evaluation: Evaluation, difference: Difference | None, root: bool = False
) -> Arm:
    summary = run.finished()
    return Arm(
        title=title,
        folder="" if root else run.path.name,
        metric=evaluation.metrics[0],
        steps=summary.steps,
        seconds=summary.seconds,
        difference=difference,
    )


def _difference(
    run: RunDirectory,
    other: RunDirectory,
    name: str,
    evaluator: Callable[[], Evaluator[Any]],
    remarks: list[str],
) -> Difference | None:
    """Return how far a run lies above another one on the same samples; None, and why, where that is not known."""
    mine, theirs = run.counted(name), other.counted(name)
    if mine is None or theirs is None:
        remarks.append(f"what each sample gave was not kept of both runs, so {other.path.name} is not compared by it")
        return None
    if mine.samples != theirs.samples:
        remarks.append(OTHER_SAMPLES.format(other.path.name))
        return None
    return _between(mine, theirs, evaluator, remarks)


def _between(
    mine: Counted, theirs: Counted, evaluator: Callable[[], Evaluator[Any]], remarks: list[str]
) -> Difference | None:
    try:
        one, other = (load_counted(evaluator(), each) for each in (mine, theirs))
    except ValueError as error:
        raise MaeError(f"what was kept of each sample cannot be read: {error}") from error
    difference = one.difference(other)
    if difference is None:
        remarks.append("these metrics have no test of two runs on the same samples, or too few of them")
    return difference
