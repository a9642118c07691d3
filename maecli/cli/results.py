"""`mae results`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.application import app, print_json, tells_errors
from maecli.cli.ask.options import JsonOption
from maecli.cli.show.answers import show_next
from maecli.terminal import answer
from maecli.text import number_of


@app.command(epilog="Example: mae results runs --out results.md")
@tells_errors
def results(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Finished runs, or folders of them, to add. None: only the table.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The table; its records are kept in a .json file beside it.")] = Path(
        "docs/results.md"
    ),
    as_json: JsonOption = False,
) -> None:
    """Add runs to a table of results in Markdown; it is made of records, so that old run directories may be gone."""
    from maecli.registry import registry
    from maecli.verbs.results import add_results

    added, total = add_results([path.expanduser() for path in runs or ()], out, registry())
    if as_json:
        print_json({"out": str(out), "added": added, "records": total})
        return
    answer(f"{out}: {number_of(total, 'record')}, {added:,} of them added or replaced")
    more = shlex.join(["mae", "results", "YOUR-RUNS", "--out", str(out)])
    show_next([(f"open {out}", "read each metric beside its baselines"), (more, "add other runs")])
