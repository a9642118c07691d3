"""`mae embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.application import app, print_json, stderr_progress, tells_errors
from maecli.cli.ask.complete import names
from maecli.cli.ask.devices import DevicesOption
from maecli.cli.ask.options import (
    BaseOption,
    CheckpointOption,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
    QuietOption,
    RootOption,
    WorkersOption,
)
from maecli.cli.ask.sources import sources_argument, sources_of
from maecli.cli.show.answers import exit_if_skipped, show_next, skipped_json
from maecli.terminal import answer


@app.command(epilog="Example: mae embed pictures --run runs/pretrain-pictures --out features.npy")
@tells_errors
def embed(
    run: Annotated[
        Path,
        typer.Option(help="Run whose encoder is used, or the exported file of a pretraining."),
    ],
    paths: Annotated[list[str] | None, sources_argument("[PATH]")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Embed a data set instead of files.", autocompletion=names("dataset"))
    ] = None,
    split: Annotated[str, typer.Option(help="Of the data set: train, val or test.")] = "train",
    root: RootOption = None,
    checkpoint: CheckpointOption = "last",
    base: BaseOption = None,
    tokens: Annotated[
        str, typer.Option(help="mean of the patch tokens, cls (class token), or patches (a row for each).")
    ] = "mean",
    out: Annotated[Path | None, typer.Option(help="File to write; default: runs/embed-RUN.safetensors.")] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="safetensors, npy or csv; default: as --out ends.")
    ] = None,
    overwrite: OverwriteOption = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per forward pass.")] = 64,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    devices: DevicesOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the features of files or of a data set; exits 3 when some were left out."""
    from maecli.registry import registry
    from maecli.verbs.embed import embed as run_embed

    progress = stderr_progress(quiet)
    result = run_embed(
        registry(),
        progress,
        run=run,
        sources=sources_of(paths, progress) if paths else None,
        dataset=dataset,
        split=split,  # type: ignore[arg-type]
        root=root,
        checkpoint=checkpoint,
        base=base,
        out=out,
        file_format=file_format,
        tokens=tokens,
        overwrite=overwrite,
        device=device or "auto",
        precision=precision or "float32",
        batch_size=batch_size,
        workers=workers,
    )
    files = result.files
    if as_json:
        print_json(
            {
                "out": str(files.out),
                "names": str(files.names),
                "run": str(result.run),
                "shape": result.shape,
                **skipped_json(result.faults, files.skipped),
                **result.not_read.record(),
            }
        )
    else:
        answer(f"features {' × '.join(map(str, result.shape))}: {files.out}")
        if files.names != files.out:
            answer(f"a row of names for each: {files.names}")
        show_next(result.next_commands)
    exit_if_skipped(result.faults, files.skipped)
