"""`mae inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as RichTable

from maecli.cli.application import app, print_json, user_errors
from maecli.cli.options import CheckpointOption, JsonOption
from maecli.cli.show import facts_table
from maecli.terminal import PlainConsole
from maecli.text import one_line

if TYPE_CHECKING:
    from maecli.verbs.inspect import Inspection


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A run, a checkpoint, or a file or folder of weights.")],
    checkpoint: CheckpointOption = "last",
    as_json: JsonOption = False,
) -> None:
    """Say what a checkpoint contains: format, architecture, tensors. Runs nothing in it."""
    with user_errors(as_json):
        from maecli.verbs.inspect import inspect_weights

        found = inspect_weights(path, checkpoint)
        if as_json:
            print_json(found.as_json())
        else:
            _show(found)


def _show(found: Inspection) -> None:
    console = PlainConsole()
    where = f", tensors under {found.under!r}" if found.under else ""
    size = f"{found.num_parameters:,} parameters, {found.num_bytes / 2**20:,.1f} MiB"
    rows = [
        ("file", f"{found.path} ({found.kind}{where})"),
        ("format", found.format),
        ("tensors", f"{found.num_tensors:,}, {size}"),
        *((key.replace("_", " "), _say(value)) for key, value in found.architecture.items() if value is not None),
        *((f"metadata {key}", _say(value)) for key, value in found.metadata.items() if not _is_shown_apart(key, value)),
        *(("plugin", _say_plugin(each)) for each in found.metadata.get("plugins", ()) if isinstance(each, dict)),
    ]
    console.print(facts_table(rows))
    for note in found.notes:
        console.print(note, style="dim")
    console.print()
    listing = RichTable(box=None, header_style="bold", pad_edge=False)
    listing.add_column("tensor", overflow="fold")
    for column in ("number", "shape"):
        listing.add_column(column, justify="right")
    listing.add_column("dtype")
    for group in found.groups:
        shape = " × ".join(str(length) for length in group.shape) or "scalar"
        listing.add_row(one_line(group.name), str(group.num), shape, one_line(group.dtype))
    console.print(listing)


def _is_shown_apart(key: str, value: Any) -> bool:
    return isinstance(value, dict) or key == "plugins"


def _say_plugin(used: dict[str, Any]) -> str:
    return "{} {}, of {} {}".format(*(used.get(key, "?") for key in ("kind", "name", "package", "version")))


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "×".join(str(each) for each in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
