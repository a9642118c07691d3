"""`mae infer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.application import app, print_json, stderr_progress, tells_errors
from maecli.cli.ask.devices import DevicesOption
from maecli.cli.ask.options import (
    BaseOption,
    CheckpointOption,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
    QuietOption,
    TaskOption,
    WorkersOption,
)
from maecli.cli.ask.sources import sources_argument, sources_of
from maecli.cli.show.answers import exit_if_skipped, show_next, skipped_json
from maecli.cli.show.predictions import predictions_json, show_predictions
from maecli.terminal import answer

MOST_NAMED = 5
"""Files that are filled in, by path."""


@app.command(epilog="Example: mae infer new --run runs/finetune-labelled-classify")
@tells_errors
def infer(
    paths: Annotated[list[str], sources_argument()],
    task: TaskOption = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Run directory, or a file of mae export; default: the newest finished run of --task."),
    ] = None,
    checkpoint: CheckpointOption = "last",
    base: BaseOption = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; default: runs/infer-RUN.")] = None,
    overwrite: OverwriteOption = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per forward pass.")] = 64,
    workers: WorkersOption = None,
    all_classes: Annotated[
        bool,
        typer.Option("--all-classes", help="A column for each class; else of over 100 classes the 5 most likely."),
    ] = False,
    unsure_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.5,
            help="Mark as unsure what is like none of the classes, at the cost of this share of what is; 0: mark none.",
        ),
    ] = 0.05,
    mark: Annotated[
        bool, typer.Option("--mark", help="Beside each file that is handed back, say in another what was filled in.")
    ] = False,
    device: DeviceOption = None,
    devices: DevicesOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a finished run on files; exits 3 when some were left out."""
    from maecli.registry import registry
    from maecli.verbs.infer import infer as run_inference

    progress = stderr_progress(quiet)
    result = run_inference(
        sources_of(paths, progress),
        registry(),
        progress,
        task=task,
        run=run,
        checkpoint=checkpoint,
        base=base,
        out=out,
        overwrite=overwrite,
        device=device or "auto",
        precision=precision or "auto",
        batch_size=batch_size,
        workers=workers,
        all_classes=all_classes,
        unsure_share=unsure_share,
        mark=mark,
    )
    if as_json:
        print_json(
            {
                "out": str(result.out),
                "run": str(result.run),
                "predicted": result.num_predicted,
                "report": str(result.report),
                **predictions_json(result),
                **result.held_out.record(),
                **({"handed_back": [str(path) for path in result.handed_back]} if result.handed_back else {}),
                "pictures": [str(picture) for picture in result.pictures],
                **skipped_json(result.faults, result.out / "skipped.csv"),
                **result.not_read.record(),
            }
        )
    else:
        show_predictions(result)
        answer(f"{result.num_predicted:,} predicted: {result.out / 'predictions.csv'}")
        for picture in result.pictures:
            answer(f"the first of them, drawn: {picture}")
        for path in result.handed_back[:MOST_NAMED]:
            answer(f"filled in: {path}")
        if len(result.handed_back) > MOST_NAMED:
            answer(f"and {len(result.handed_back) - MOST_NAMED:,} files more, in {result.out / 'files'}")
        elif not result.handed_back and (result.out / "files").is_dir():
            answer(f"a file for each: {result.out / 'files'}")
        worst_first = result.summary.answer is not None or result.masks is not None
        page = "see the pictures: what is wrong or uncertain comes first" if worst_first else "see what came out"
        show_next([(f"open {result.report} in a browser", page)])
    exit_if_skipped(result.faults, result.out / "skipped.csv")
