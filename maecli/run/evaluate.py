"""`mae eval`: how good is a run, and against what?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from maecli.data.card import SPLIT_NAMES, SplitName
from maecli.data.views.members import read_members
from maecli.errors import Fault, SpecError
from maecli.outputs.faults import Faults
from maecli.parallel.lead import call, world
from maecli.parallel.world import ALONE, World
from maecli.progress import Progress
from maecli.registry import Registry, registry
from maecli.reports.payoff import Payoff
from maecli.results import Evaluation
from maecli.run.checkpoint import find_checkpoint
from maecli.run.data.begun import check_form
from maecli.run.data.leaks import Leak, leak_of
from maecli.run.data.other_data import other_data
from maecli.run.data.what_was_read import what_was_read
from maecli.run.directory import REPORT, SPLITS, RunDirectory
from maecli.run.open import Built, check_split
from maecli.run.report import next_commands, write_run_report
from maecli.run.restore import Restored, restore
from maecli.training.evaluation import evaluate as measure_split
from maecli.training.evaluation import fit_baselines


@dataclass(frozen=True)
class EvalResult:
    """One evaluation, kept in the run directory, or beside an exported file."""

    run: Path
    """The run directory, or the file."""
    checkpoint: Path
    report: Path
    """The page of the run, or what was written of the file: the evaluation as JSON."""
    evaluation: Evaluation
    faults: Collection[Fault]
    next_commands: Sequence[tuple[str, str]] = ()
    """What usually follows, with what it does."""
    payoff: Payoff | None = None
    """How it compares with its companions there."""


def evaluate(
    path: Path,
    registry: Registry,
    progress: Progress,
    *,
    split: SplitName = "test",
    checkpoint: str = "last",
    base: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    root: Path | None = None,
    ignore_unknown_classes: bool = False,
) -> EvalResult:
    """Measure a run on one split of its data set and add the result to its report.

    `checkpoint` is last or best; `root` overrides where the data lie. Classes of the data are those of the run, by
    name. Raises DataError for an empty split, and for classes that only one of the two has unless they are ignored.
    """
    check_split(split)
    run = measured_run(path, checkpoint)
    settings = {"device": device, "precision": precision, "dataset.root": root, "init": base}
    restored = restore(path, registry, progress.say, checkpoint, settings, ignore_unknown_classes)
    data = restored.data
    data.samples(split)
    card, unknown = data.dataset.card(restored.task.fields), data.left_out(split)
    check_form(card, restored.card)
    told = [*data.sentences(), *(f"Left out: {num:,} {what}." for what, num in unknown.items())]
    for line in (*what_was_read(card, len(data.faults), data.num_broken_samples()), *told):
        progress.say(line)
    splits = {name: data.split(name) for name in SPLIT_NAMES}
    other = other_data(run, restored.checkpoint, data, splits, card.reading, split, progress.say)
    weights = f"{checkpoint} (step {restored.checkpoint.step})"
    processes = call(help_evaluate, path, checkpoint, settings, ignore_unknown_classes, split, batch_size)
    with progress.working(f"measuring on {split}"):
        evaluation = measure(restored, restored.module, split, weights, batch_size, processes)
    leak = _leak(run, restored, registry) if split == "test" and other is None else None
    more = [f"Measured on {other}."] if other else [f"{leak}."] if leak else []
    evaluation = evaluation.model_copy(
        update={
            "notes": (*evaluation.notes, *told, *more),
            "left_out": card.left_out | unknown,
            "data": other,
        }
    )
    run.write_evaluation(evaluation)
    write_run_report(run, registry, progress.say)
    faults, following = restored.data.faults, next_commands(run, registry)
    return EvalResult(run.path, restored.checkpoint.path, run.path / REPORT, evaluation, faults, following)


def help_evaluate(
    path: Path,
    checkpoint: str,
    settings: Mapping[str, Any],
    ignore_unknown_classes: bool,
    split: SplitName,
    batch_size: int | None,
) -> None:
    """Do the part of a process beside the first one in measuring a run."""
    with world().together():
        restored = restore(path, registry(), lambda _: None, checkpoint, settings, ignore_unknown_classes)
        restored.data.samples(split)
    measure(restored, restored.module, split, "", batch_size, world())


def _leak(run: RunDirectory, restored: Restored, registry: Registry) -> Leak | None:
    """Return what the run of `--init` was trained on of the test samples that a run recorded."""
    members = read_members(run.path / SPLITS)
    return leak_of(restored.spec, restored.data.dataset, members["test"], registry) if members is not None else None


def measure(
    built: Built,
    module: nn.Module,
    split: SplitName,
    weights: str,
    batch_size: int | None = None,
    world: World = ALONE,
    stopped: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Return what a module makes of a split, beside baselines that learn from training samples.

    Of several processes each measures a part, and the first one's evaluation is that of all. Raises Stopped, in all,
    before a batch at which one has `stopped`.
    """
    task, size = built.task, batch_size or built.spec.train.batch_size
    with world.together():
        if task.baseline_samples:
            fit_baselines(task, built.loader("train"), size)
    evaluation = measure_split(task, module, built.loader(split), split, size, built.dtype, world, stopped)
    share_faults(built.data.faults, world)
    return evaluation.model_copy(update={"weights": weights})


def share_faults(faults: Faults, world: World) -> None:
    """Note in each process what all have met."""
    for others in world.gathered(list(faults)) if world.size > 1 else ():
        faults.update(others)


def measured_run(path: Path, checkpoint: str) -> RunDirectory:
    """Return the run that metrics of a checkpoint are added to. Raises SpecError for a checkpoint by itself."""
    find_checkpoint(path, checkpoint)
    run = RunDirectory(path)
    if not run.is_run:
        raise SpecError(f"{run} is a checkpoint without its run directory; give the run directory to mae eval")
    return run
