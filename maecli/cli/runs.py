"""`mae runs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maecli.cli.application import app, print_json, tells_errors
from maecli.cli.options import JsonOption
from maecli.cli.show import rich_table
from maecli.errors import SpecError
from maecli.terminal import PlainConsole, answer, tell

if TYPE_CHECKING:
    from maecli.verbs.runs import Comparison


@app.command()
@tells_errors
def runs(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR] | RUN RUN", help="A folder of runs, default MAE_RUNS or ./runs; or two runs."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Of two runs: write their curves (.png), or everything as a page (.html).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List run directories, or lay two of them side by side: spec, metrics, curves, environment."""
    from maecli.registry import registry
    from maecli.results import Table
    from maecli.run.directory import runs_dir
    from maecli.verbs.runs import COLUMNS, compare, list_runs, write_comparison

    folders = [path.expanduser() for path in paths or [runs_dir()]]
    if len(folders) > 2:
        raise SpecError(f"mae runs takes a folder, or two runs to lay side by side, not {len(folders)}")
    if len(folders) == 2:
        comparison = compare(folders[0], folders[1], registry(), tell)
        if out is not None:
            out = out.expanduser()
            write_comparison(comparison, out)
        show_comparison(comparison, out, as_json)
        return
    if out is not None:
        raise SpecError("--out is for two runs laid side by side; name both of them")
    entries = list_runs(folders[0])
    for entry in entries:
        if entry.problem:
            tell(entry.problem)
    if as_json:
        print_json({"runs": [entry.as_json() for entry in entries]})
        return
    if not entries:
        answer(f"no runs in {folders[0]}")
        return
    PlainConsole().print(rich_table(Table(title="", columns=COLUMNS, rows=tuple(entry.cells() for entry in entries))))


def show_comparison(comparison: Comparison, out: Path | None, as_json: bool) -> None:
    """Print what two runs differ in."""
    if as_json:
        print_json(comparison.as_json() | {"out": str(out) if out else None})
        return
    first, second = comparison.names
    answer(f"{first} -> {second}", "", "spec")
    for line in comparison.spec or ["no key differs"]:
        answer(f"  {line}")
    answer("")
    PlainConsole().print(rich_table(comparison.metrics))
    answer("", "environment")
    for line in comparison.environment or ["nothing differs"]:
        answer(f"  {line}")
    if out is not None:
        answer("", f"written: {out}")
