"""One figure of a cross-validation: every sample is measured once, by the run that did not learn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maecli.progress import Progress
from maecli.registry import Registry
from maecli.reports.numbers import format_baselines, format_mean, format_metric
from maecli.results import Evaluation, Table, mean_metric
from maecli.run.directory import RunDirectory
from maecli.run.restore import restore
from maecli.training.evaluation import find_faults, fit_baselines, measure
from maecli.training.evaluator import Evaluator

NAME = "folds"
"""What the split is called that is all folds."""


def pool(
    runs: Mapping[str, RunDirectory],
    found: Mapping[str, Evaluation],
    registry: Registry,
    progress: Progress,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Return what the runs of all folds make of their test parts, as if of one split; `found` is that of each.

    Metrics and their intervals are of all samples together, not means over folds.
    """
    evaluator: Evaluator[Any] | None = None
    num = 0
    count = progress.count("measuring all folds as one", len(runs))
    with progress:
        for name, run in runs.items():
            restored = restore(run.path, registry, lambda _: None)
            task, loader, size = restored.task, restored.loader("test"), restored.spec.train.batch_size
            if evaluator is None and task.baseline_samples:
                fit_baselines(task, restored.loader("train"), size)
            lost = found[name].num_samples < len(loader.split)
            skip = find_faults(task, restored.module, loader, size, restored.dtype) if lost else {}
            evaluator, seen = measure(
                task, restored.module, loader, size, restored.dtype, skip=skip, evaluator=evaluator
            )
            evaluator.begin += len(loader.split)
            num += seen
            count()
    assert evaluator is not None
    modality = restored.preprocess.modality
    metrics = tuple(evaluator.metrics())
    return Evaluation(
        split=NAME,
        num_samples=num,
        one=modality.one,
        many=modality.unit,
        finding=evaluator.finding(),
        weights=f"the last of each of {len(runs)} folds",
        metrics=metrics,
        tables=(fold_table(found), *evaluator.tables()),
        drawings=tuple(evaluator.drawings()),
        notes=(*told(found, num), *notes),
    )


def told(found: Mapping[str, Evaluation], num: int) -> list[str]:
    """Return what the pooled figure is, and how far the folds lie apart."""
    whole = (
        f"Each of {num:,} samples was measured once, by one of {len(found)} runs that did not learn from it. This run "
        "learnt from all of them: the figure is an estimate of how good it is, and rather a little too low."
    )
    mean, sd = mean_metric([evaluation.metrics[0] for evaluation in found.values()])
    if sd is None:
        return [whole]
    return [whole, f"From fold to fold, {mean.label} is {format_mean(mean, sd)} (mean ± standard deviation)."]


def fold_table(found: Mapping[str, Evaluation]) -> Table:
    """Return the headline of each fold beside its baselines."""
    first = next(iter(found.values())).metrics[0]
    rows = [
        (
            name,
            evaluation.num_samples,
            format_metric(evaluation.metrics[0]),
            "; ".join(format_baselines(evaluation.metrics[0])),
        )
        for name, evaluation in found.items()
    ]
    return Table(
        title="Folds", columns=("fold", "samples", f"{first.label} (95% interval)", "baselines"), rows=tuple(rows)
    )
