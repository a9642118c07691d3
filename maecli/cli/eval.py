"""`mae eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.application import app, print_json, stderr_progress, tells_errors
from maecli.cli.ask.complete import names
from maecli.cli.ask.devices import DevicesOption
from maecli.cli.ask.options import (
    DATA,
    BaseOption,
    CheckpointOption,
    DeviceOption,
    JsonOption,
    LabelsOption,
    PrecisionOption,
    QuietOption,
    RootOption,
    TaskOption,
    option,
)
from maecli.cli.show.answers import show_evaluation, show_next, show_payoff
from maecli.terminal import answer


@app.command("eval", epilog="Example: mae eval runs/finetune-labelled-classify")
@tells_errors
def evaluate(
    run: Annotated[
        Path | None,
        typer.Argument(help="Run directory, or a file of mae export; default: the newest finished run of --task."),
    ] = None,
    task: TaskOption = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    checkpoint: CheckpointOption = "last",
    base: BaseOption = None,
    probe: Annotated[
        str | None, typer.Option(help="Probe the frozen encoder instead: knn or linear, beside a random encoder.")
    ] = None,
    labels: LabelsOption = None,
    pool: Annotated[str | None, typer.Option(help="What --probe sees: mean of the patch tokens, or cls.")] = None,
    root: RootOption = None,
    ignore_unknown_classes: Annotated[
        bool,
        option(
            "--ignore-unknown-classes",
            help="Measure on the classes that run and data share; leave out other samples.",
            panel=DATA,
        ),
    ] = False,
    dataset: Annotated[
        str | None,
        option("--dataset", help="Of an exported file: another data set.", panel=DATA, autocompletion=names("dataset")),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Of an exported file: where the metrics go; default: FILE.SPLIT.json.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples per forward pass.")] = None,
    device: DeviceOption = None,
    devices: DevicesOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a run on a split, beside what trivial predictors get there."""
    from maecli.registry import registry
    from maecli.verbs.eval import evaluate_or_probe

    result = evaluate_or_probe(
        run,
        registry(),
        stderr_progress(quiet),
        task=task,
        kind=probe,
        labels=labels,
        pool=pool,
        ignore_unknown_classes=ignore_unknown_classes,
        split=split,  # type: ignore[arg-type]
        checkpoint=checkpoint,
        base=base,
        device=device or "auto",
        precision=precision or "auto",
        batch_size=batch_size,
        dataset=dataset,
        out=out,
        root=root,
    )
    if as_json:
        print_json(
            {
                "run": str(result.run),
                "checkpoint": str(result.checkpoint),
                **result.evaluation.as_json(),
                "comparison": result.payoff.as_json() if result.payoff else None,
                "skipped": {fault.path: fault.reason for fault in result.faults},
            }
        )
        return
    show_evaluation(result.evaluation, with_tables=True)
    if result.payoff:
        show_payoff(result.payoff)
    answer("", f"report: {result.report}")
    show_next(result.next_commands)
