"""`mae eval`: how good is a run, and against what?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from maecli.data.card import SPLIT_NAMES, SplitName
from maecli.data.few_labels import WHOLE, few_labels
from maecli.errors import DataError, Fault, SpecError, nearest
from maecli.hardware import choose_device, choose_dtype, keep_freed_memory
from maecli.loading import make_loader
from maecli.outputs.faults import Faults
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.results import Evaluation
from maecli.run.assemble import load_assembly, make_dataset
from maecli.run.directory import RunDirectory, find_checkpoint, read_checkpoint
from maecli.run.report import write_run_report
from maecli.schema import RunSpec
from maecli.spec.validate import validate
from maecli.training.evaluation import evaluate as measure_split
from maecli.training.evaluation import fit_baselines


def check_split(split: str) -> None:
    """Raise SpecError for a word that is no split."""
    if split not in SPLIT_NAMES:
        raise SpecError(f"split {split!r} is none of {', '.join(SPLIT_NAMES)}{nearest(split, SPLIT_NAMES)}")


def check_run(run: RunDirectory) -> None:
    """Raise SpecError for a checkpoint that has no run around it, to which results could be added."""
    if not run.is_run:
        raise SpecError(f"{run} is a checkpoint without its run directory; give the run directory to mae eval")


def with_changes(spec: RunSpec, registry: Registry, root: Path | None = None, labels: str | None = None) -> RunSpec:
    """Return a run's spec with its data at another place, or with another part of the labels."""
    tree = spec.model_dump(mode="json")
    if root is not None:
        tree["dataset"]["root"] = str(root)
    if labels is not None:
        tree["data"]["labels"] = labels
    return validate(tree, tree["verb"], registry)


@dataclass(frozen=True)
class EvalResult:
    """One evaluation, kept in the run directory."""

    run: RunDirectory
    checkpoint: Path
    evaluation: Evaluation
    faults: Collection[Fault]


def evaluate(
    path: Path,
    registry: Registry,
    progress: Progress,
    *,
    split: SplitName = "test",
    which: str = "last",
    device_name: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    root: Path | None = None,
) -> EvalResult:
    """Measure a run on one split of its data set and add the result to its report.

    `which` is last or best; `root` overrides where the data lie. Raises DataError for an empty split.
    """
    check_split(split)
    keep_freed_memory()
    run = RunDirectory(path)
    find_checkpoint(path, which)
    check_run(run)
    device = choose_device(device_name)
    dtype = choose_dtype(precision, device)
    checkpoint, (spec, assembly) = read_checkpoint(
        path, which, lambda found: load_assembly(found, registry, progress.say)
    )
    spec = with_changes(spec, registry, root)
    assembly.module.to(device)
    task = assembly.task
    dataset = make_dataset(spec.dataset, registry)
    faults = Faults(progress.say, spec.data.strict)
    train = None
    if split == "train" or task.baseline_samples:
        part = str(spec.data.labels or WHOLE)
        train = few_labels(dataset, assembly.card, task.fields, part, spec.seed, task.name).split
    samples = train if train is not None and split == "train" else dataset.split(split, task.fields)
    faults.update(dataset.faults())  # after the splits, since making one may find more

    if len(samples) == 0:
        sizes = dataset.card(task.fields).split_sizes
        raise DataError(f"{spec.dataset.name} has no {split} samples with {', '.join(task.fields)}; it has {sizes}")
    size = batch_size or spec.train.batch_size
    if train is not None and task.baseline_samples:
        fit_baselines(task, make_loader(train, assembly.preprocess, device, spec.seed, spec.data, faults.add), size)
    loader = make_loader(samples, assembly.preprocess, device, spec.seed, spec.data, faults.add, task.own_size)
    evaluation = measure_split(task, assembly.module, loader, split, size, dtype)
    evaluation = evaluation.model_copy(update={"weights": f"{which} (step {checkpoint.step})"})
    run.write_evaluation(evaluation)
    write_run_report(run, registry, progress.say)
    return EvalResult(run, checkpoint.path, evaluation, faults)
