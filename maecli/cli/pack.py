"""`mae pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.application import app, print_json, stderr_progress, tells_errors
from maecli.cli.ask.complete import names
from maecli.cli.ask.options import JsonOption, QuietOption, SetOption
from maecli.spec.ask import Ask
from maecli.terminal import answer, tell
from maecli.text import number_of


@app.command(epilog="Example: mae pack pictures --out shards --max-side 256")
@tells_errors
def pack(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures, or the root of another --dataset.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards; what is whole there stays.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set plugin; default: any folder.", autocompletion=names("dataset")),
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Pictures of a shard.")] = 10_000,
    max_side: Annotated[
        int | None, typer.Option(min=1, help="Resize larger pictures to this longest side, in pixels.")
    ] = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Pack pictures, their labels and splits into shards: few large tar files with checksums."""
    from maecli.registry import registry
    from maecli.verbs.pack import in_words
    from maecli.verbs.pack import pack as run_pack

    flags = {"dataset.root": str(folder)} | ({"dataset.name": dataset} if dataset else {})
    ask = Ask("pretrain", flags=flags, sets=sets or ())
    result = run_pack(ask, registry(), stderr_progress(quiet), out, shard_size=shard_size, max_side=max_side)
    if as_json:
        print_json(
            {
                "out": str(result.out),
                "shards": result.num_shards,
                "samples": result.num_samples,
                "bytes": result.num_bytes,
                "there": result.num_there,
                "anew": result.num_anew,
                "faults": [{"path": fault.path, "reason": fault.reason} for fault in result.faults],
            }
        )
    else:
        for note in result.notes:
            answer(f"- {note}")
        answer(f"packed {in_words(result)}, in {result.out}")
        answer("", "next:", f"  mae pretrain --dataset tar --root {result.out}")
        answer("      learn from the pictures, without labels")
    if result.faults:
        tell(f"{number_of(len(result.faults), 'file')} left out, such as {result.faults[0]}")
        raise typer.Exit(3)
