"""`mae runs`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maecli.cli.application import app, print_json, tells_errors
from maecli.cli.ask.options import JsonOption
from maecli.cli.show.answers import fits, rich_table, show_next
from maecli.errors import SpecError
from maecli.terminal import PlainConsole, answer, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maecli.run.listing import RunEntry
    from maecli.verbs.runs import Comparison


@app.command(epilog="Example: mae runs runs/first runs/second --out comparison.html")
@tells_errors
def runs(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]... | RUN RUN", help="Folders of runs, default MAE_RUNS or ./runs; or two runs."),
    ] = None,
    sort: Annotated[
        str, typer.Option(help="finished, run, data, dataset, task, model, seconds or headline (the best at the end).")
    ] = "finished",
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="COLUMN=PATTERN", help="Only some, such as task=classify; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Of two runs: write their curves (.png), or everything as a page (.html).")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the list as CSV, numbers in full.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List run directories, or lay two of them side by side: spec, metrics, curves, environment."""
    from maecli.run.directory import RunDirectory, runs_dir
    from maecli.run.listing import filter_runs, list_runs, list_several, runs_csv, sort_runs

    if as_csv and as_json:
        raise SpecError("--csv and --json are two forms of one answer; give one of them")
    folders = [path.expanduser() for path in paths or [runs_dir()]]
    selects = sort != "finished" or reverse or filters or as_csv
    if out is not None and len(folders) != 2:
        raise SpecError("--out is for two runs laid side by side; name both of them")
    if out is not None or (len(folders) == 2 and not selects and all(RunDirectory(each).is_run for each in folders)):
        _lay_side_by_side(folders[0], folders[1], out, as_json)
        return
    entries = list_runs(folders[0]) if len(folders) == 1 else list_several(folders)
    if any(folder.resolve() == runs_dir().resolve() for folder in folders):
        from maecli.run.pages.runs import renew_runs_page

        renew_runs_page(tell)
    entries = sort_runs(filter_runs(entries, filters or []), sort, reverse)
    for entry in entries:
        if entry.problem:
            tell(entry.problem)
    if as_json:
        print_json({"runs": [entry.as_json() for entry in entries]})
    elif as_csv:
        print(runs_csv(entries), end="")
    elif not entries:
        answer(f"no runs in {', '.join(map(str, folders))}" + (" fit the filter" if filters else ""))
    else:
        show_runs(entries)
        _show_next(entries)


def show_runs(entries: Sequence[RunEntry]) -> None:
    """Print a table, or, where a name would be broken to fit, a name on a line of its own above what there is of it."""
    from maecli.results import Table
    from maecli.run.listing import COLUMNS

    console = PlainConsole()
    table = rich_table(Table(title="", columns=COLUMNS, rows=tuple(entry.cells() for entry in entries)))
    if fits(table, console):
        console.print(table)
        return
    for name, *facts in (entry.cells() for entry in entries):
        answer(name, *(f"  {fact}" for fact in facts if fact))


def _show_next(entries: Sequence[RunEntry]) -> None:
    """Say on a terminal, where nothing goes on with the list, what can be done with it."""
    from maecli.run.directory import runs_dir
    from maecli.run.pages.runs import INDEX

    if not PlainConsole().is_terminal:
        return
    page, newest = runs_dir() / INDEX, [str(entry.path) for entry in entries[-2:]]
    commands = [(shlex.join(["mae", "runs", *newest]), "lay the last two side by side")] if len(newest) == 2 else []
    show_next([*commands, *([(f"open {page} in a browser", "see their pages")] if page.is_file() else [])])


def _lay_side_by_side(first: Path, second: Path, out: Path | None, as_json: bool) -> None:
    from maecli.registry import registry
    from maecli.verbs.runs import compare, write_comparison

    comparison = compare(first, second, registry(), tell)
    if out is not None:
        out = out.expanduser()
        write_comparison(comparison, out)
    show_comparison(comparison, out, as_json)
    if as_json:
        return
    whole = shlex.join(["mae", "runs", str(first), str(second), "--out", "comparison.html"])
    show_next([(whole, "see that with the curves, as a page") if out is None else (f"open {out}", "see the curves")])


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
    show_metrics(comparison)
    answer("", "environment")
    for line in comparison.environment or ["nothing differs"]:
        answer(f"  {line}")
    if out is not None:
        answer("", f"written: {out}")


def show_metrics(comparison: Comparison) -> None:
    """Print the metrics of both runs as a table, or each below the name of its run where the names would be broken."""
    console = PlainConsole()
    table = rich_table(comparison.metrics)
    if fits(table, console):
        console.print(table)
        return
    answer("metrics (95% interval)")
    for split, label, *values in comparison.metrics.rows:
        answer(f"  {split}, {label}")
        for name, value in zip(comparison.names, values, strict=True):
            answer(f"    {value}  {name}")
