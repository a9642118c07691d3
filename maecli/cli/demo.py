"""`mae demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.application import app, print_json, stderr_progress, tells_errors
from maecli.cli.ask.options import DeviceOption, JsonOption, OverwriteOption, QuietOption
from maecli.cli.show.answers import show_evaluation
from maecli.terminal import answer


@app.command(epilog="Example: mae demo")
@tells_errors
def demo(
    out: Annotated[Path | None, typer.Option(help="Where to write; default: runs/demo.")] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Pretrain, fine-tune, evaluate and infer on data that need no download, in about a minute."""
    from maecli.registry import registry
    from maecli.verbs.demo import demo as run_demo

    result = run_demo(registry(), stderr_progress(quiet), out=out, overwrite=overwrite, device=device)
    if as_json:
        print_json({"report": str(result.report), **result.evaluation.as_json()})
        return
    show_evaluation(result.evaluation)
    answer(
        "",
        f"open {result.report}: reconstructions, curves and the confusion matrix",
        "",
        "next, on your own pictures:",
    )
    for command, does in result.next_commands:
        answer(f"  {command}", f"      {does}")
