"""`mae eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.app import app, stderr_console, user_errors
from maecli.cli.options import CheckpointOption, DeviceOption, JsonOption, PrecisionOption, QuietOption, RootOption
from maecli.cli.show import show_evaluation


@app.command("eval")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    checkpoint: CheckpointOption = "last",
    root: RootOption = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples per forward pass.")] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a run on a split, beside what trivial predictors get there."""
    with user_errors(as_json):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.evaluate import evaluate as run_evaluation

        result = run_evaluation(
            run,
            registry(),
            train_progress(stderr_console(quiet)),
            split=split,  # type: ignore[arg-type]
            which=checkpoint,
            device_name=device or "auto",
            precision=precision or "auto",
            batch_size=batch_size,
            root=root,
        )
        if as_json:
            print(
                json.dumps(
                    {
                        "run": str(result.run),
                        "checkpoint": str(result.checkpoint),
                        **result.evaluation.as_json(),
                        "skipped": result.skipped,
                    }
                )
            )
            return
        show_evaluation(result.evaluation, with_tables=True)
        print(f"\nreport: {result.run.path / 'report.html'}")
