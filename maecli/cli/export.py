"""`mae export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from maecli.cli.application import app, print_json, stderr_progress, tells_errors
from maecli.cli.ask.complete import names
from maecli.cli.ask.options import BaseOption, CheckpointOption, JsonOption, OverwriteOption, QuietOption
from maecli.cli.show.answers import show_next
from maecli.terminal import answer

SEE = "see mae plugins"


class Export(TyperCommand):
    """`mae export`; its help names the formats that are installed, which only showing it looks up."""

    def format_help(self, *arguments: Any) -> None:
        """Write the help."""
        from maecli.registry import registry

        option = next(param for param in self.params if isinstance(param, TyperOption) and param.name == "format_name")
        told = option.help or ""
        option.help = told.replace(SEE, ", ".join(registry().names("export")))
        super().format_help(*arguments)
        option.help = told


@app.command(cls=Export, epilog="Example: mae export runs/finetune-labelled-classify --format onnx")
@tells_errors
def export(
    run: Annotated[Path, typer.Argument(help="Run directory or checkpoint.")],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"Export plugin ({SEE}); default: as --out ends, else one whose files mae can run.",
            autocompletion=names("export"),
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File or folder to write; default: runs/export-RUN and what files end as.")
    ] = None,
    checkpoint: CheckpointOption = "last",
    base: BaseOption = None,
    overwrite: OverwriteOption = False,
    samples: Annotated[
        int, typer.Option(min=1, help="Samples of validation on which its answers are compared with the run's.")
    ] = 32,
    precision: Annotated[
        str | None,
        typer.Option(help="float32, or int8 where the format has it; default: float32, with --edge int8."),
    ] = None,
    max_drop: Annotated[
        float, typer.Option(min=0, help="Points of the metric that a lower --precision may lose on validation.")
    ] = 1.0,
    edge: Annotated[
        Path | None,
        typer.Option(help="Write a folder for a small machine: ONNX file, labels, and a program without mae or torch."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a run as a file for other tools, preprocessing included, and check that it answers as the run does."""
    from maecli.errors import SpecError
    from maecli.registry import registry
    from maecli.verbs.export import export as run_export
    from maecli.verbs.export import export_edge

    shared: dict[str, Any] = {
        "checkpoint": checkpoint,
        "base": base,
        "overwrite": overwrite,
        "num_samples": samples,
        "max_drop": max_drop,
        **({"precision": precision} if precision else {}),
    }
    if edge is not None and (format_name or out):
        raise SpecError("--edge DIR says what is written and where; leave --format and --out away")
    if edge is not None:
        result = export_edge(run, registry(), stderr_progress(quiet), edge, **shared)
    else:
        result = run_export(run, registry(), stderr_progress(quiet), format_name=format_name, out=out, **shared)
    if as_json:
        print_json(result.as_json())
        return
    answer(f"{result.format}, {result.num_bytes / 1e6:,.1f} MB: {result.out}")
    answer(f"compared on {result.samples_are}:")
    for one in result.agreements:
        answer(f"  {one}")
    for one in result.graph:
        answer(f"  the graph against the run's own evaluation, {one}")
    for line in result.lowered.sentences if result.lowered else ():
        answer(line)
    if edge is not None:
        answer(f"run it where only numpy, pillow and onnxruntime are: python {edge}/predict.py FOLDER")
    show_next(result.next_commands)
