"""`mae eval`: how good is a run, or, by a probe, its frozen encoder?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from maecli.data.card import SplitName
from maecli.errors import Interrupted, SpecError
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.compare.companions import measure_companions
from maecli.run.directory import RunDirectory
from maecli.run.evaluate import EvalResult, evaluate
from maecli.run.exported.evaluate import evaluate_file
from maecli.run.exported.file import exported_file
from maecli.run.listing import newest_run
from maecli.run.probe import probe


class Settings(TypedDict, total=False):
    """What a run's own task and a probe both take."""

    split: SplitName
    checkpoint: str
    base: Path | None
    device: str
    precision: str
    batch_size: int | None
    root: Path | None


def evaluate_or_probe(
    run: Path | None,
    registry: Registry,
    progress: Progress,
    *,
    task: str | None = None,
    kind: str | None = None,
    labels: str | None = None,
    pool: str | None = None,
    ignore_unknown_classes: bool = False,
    dataset: str | None = None,
    out: Path | None = None,
    **settings: Unpack[Settings],
) -> EvalResult:
    """Measure a run by its own task, or by a probe of this `kind`, and add the result to its report.

    Of a file that mae exported the result is written beside it, or to `out`; its data may be another `dataset`.

    Without a run it is the newest finished one of `task`.
    By its own task its companions are measured with it, so that it stands beside them there too.

    Raises SpecError for what only a probe knows, without one, and for what it does not know.
    """
    if run is not None and task is not None:
        raise SpecError(f"{run} names the run, whose task is its own; leave --task out")
    run = run or newest_run(task, registry, progress.say, "RUN")
    if exported_file(run, registry) is not None:
        if kind is not None or labels or pool:
            raise SpecError(f"--probe looks into the encoder of a run, and {run} is a file; give its run")
        return evaluate_file(
            run,
            registry,
            progress,
            split=settings.get("split", "test"),
            base=settings.get("base"),
            device=settings.get("device", "auto"),
            precision=settings.get("precision", "auto"),
            batch_size=settings.get("batch_size"),
            root=settings.get("root"),
            dataset=dataset,
            out=out,
            ignore_unknown_classes=ignore_unknown_classes,
        )
    if dataset is not None or out is not None:
        name = "--out" if dataset is None else "--dataset"
        raise SpecError(f"{name} is for files of mae export, and {run} is none; its run keeps its data and its report")
    if kind is not None and ignore_unknown_classes:
        raise SpecError(
            "--ignore-unknown-classes is for the classes that a run learnt; --probe learns those of the data"
        )
    if kind is not None:
        return probe(run, registry, progress, kind, labels=labels, pool=pool or "mean", **settings)
    if labels or pool:
        raise SpecError(f"{'--labels' if labels else '--pool'} is for --probe: give --probe knn or --probe linear")
    result = evaluate(run, registry, progress, ignore_unknown_classes=ignore_unknown_classes, **settings)
    both = {**settings, "ignore_unknown_classes": ignore_unknown_classes}
    try:
        payoff = measure_companions(RunDirectory(result.run), result.evaluation.name, registry, progress, **both)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {run} was measured, and what it is compared with was not") from None
    return replace(result, payoff=payoff)
