"""`mae eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maecli.cli.application import app, print_json, stderr_console, user_errors
from maecli.cli.options import (
    CheckpointOption,
    DeviceOption,
    JsonOption,
    LabelsOption,
    PrecisionOption,
    QuietOption,
    RootOption,
)
from maecli.cli.show import show_evaluation
from maecli.errors import SpecError
from maecli.terminal import answer


@app.command("eval")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    checkpoint: CheckpointOption = "last",
    probe: Annotated[
        str | None, typer.Option(help="Probe the frozen encoder instead: knn or linear, beside a random encoder.")
    ] = None,
    labels: LabelsOption = None,
    pool: Annotated[str | None, typer.Option(help="What --probe sees: mean of the patch tokens, or cls.")] = None,
    root: RootOption = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples per forward pass.")] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a run on a split, beside what trivial predictors get there."""
    with user_errors(as_json):
        from maecli.progress import Progress
        from maecli.registry import registry
        from maecli.run.evaluate import evaluate as run_evaluation
        from maecli.run.probe import probe as run_probe

        if probe is None and (labels or pool):
            raise SpecError(f"{'--labels' if labels else '--pool'} is for --probe: give --probe knn or --probe linear")
        progress = Progress(stderr_console(quiet))
        settings: dict[str, Any] = {
            "split": split,
            "which": checkpoint,
            "device_name": device or "auto",
            "precision": precision or "auto",
            "batch_size": batch_size,
            "root": root,
        }
        if probe is None:
            result = run_evaluation(run, registry(), progress, **settings)
        else:
            result = run_probe(run, registry(), progress, probe, labels=labels, pool=pool or "mean", **settings)
        if as_json:
            print_json(
                {
                    "run": str(result.run),
                    "checkpoint": str(result.checkpoint),
                    **result.evaluation.as_json(),
                    "skipped": {fault.path: fault.reason for fault in result.faults},
                }
            )
            return
        show_evaluation(result.evaluation, with_tables=True)
        answer("", f"report: {result.run.path / 'report.html'}")
