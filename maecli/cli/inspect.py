"""`mae inspect`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maecli.cli.application import app, print_json, tells_errors
from maecli.cli.ask.options import CheckpointOption, JsonOption
from maecli.cli.show.answers import rich_table, show_facts, show_next
from maecli.terminal import PlainConsole
from maecli.text import bytes_in_words

if TYPE_CHECKING:
    from maecli.verbs.inspect import Inspection


@app.command(epilog="Example: mae inspect runs/pretrain-pictures")
@tells_errors
def inspect(
    path: Annotated[
        Path,
        typer.Argument(help="A run, a checkpoint, a file or folder of weights, or FILE#NAME."),
    ],
    checkpoint: CheckpointOption = "last",
    as_json: JsonOption = False,
) -> None:
    """Say what a checkpoint contains: format, architecture, tensors. Runs nothing in it."""
    from maecli.verbs.inspect import inspect_weights

    found = inspect_weights(path, checkpoint)
    if as_json:
        print_json(found.as_json())
    else:
        _show(found)
        command = shlex.join(
            ["mae", "finetune", "--init", str(path), "--root", "YOUR-LABELLED-FOLDER", "--task", "TASK"]
        )
        show_next([(command, "learn a task, starting from this encoder")])


def _show(found: Inspection) -> None:
    from maecli.results import Table

    console = PlainConsole()
    where = f", tensors under {found.under!r}" if found.under else ""
    size = f"{found.num_parameters:,} parameters, {bytes_in_words(found.num_bytes)}"
    metadata = {f"metadata {key}": value for key, value in found.metadata.items() if key != "plugins"}
    rows = [
        ("file", f"{found.path} ({found.kind}{where})"),
        ("format", found.format),
        *((("encoders", ", ".join(found.encoders)),) if len(found.encoders) > 1 else ()),
        ("tensors", f"{found.num_tensors:,}, {size}"),
        *((key, _sizes(value)) for key, value in found.architecture.items() if value is not None),
        *((key, value) for key, value in metadata.items() if not isinstance(value, dict)),
        *(("plugin", _say_plugin(each)) for each in found.metadata.get("plugins", ()) if isinstance(each, dict)),
    ]
    show_facts(rows)
    for note in found.notes:
        console.print(note, style="dim")
    console.print()
    groups = tuple((group.name, group.num, _sizes(group.shape) or "scalar", group.dtype) for group in found.groups)
    console.print(rich_table(Table(title="", columns=("tensor", "number", "shape", "dtype"), rows=groups)))


def _sizes(value: Any) -> Any:
    """Return the lengths along axes as 16×16; another value as it is."""
    return "×".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _say_plugin(used: dict[str, Any]) -> str:
    return "{} {}, of {} {}".format(*(used.get(key, "?") for key in ("kind", "name", "package", "version")))
