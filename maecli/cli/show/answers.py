"""What the verbs print when they are done: tables for people."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Column
from rich.table import Table as RichTable

from maecli.cli.application import print_json
from maecli.terminal import PlainConsole, answer, tell
from maecli.text import bytes_in_words, number_of, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from maecli.errors import Fault
    from maecli.registry.describe import Option
    from maecli.reports.payoff import Payoff
    from maecli.results import Evaluation, Table
    from maecli.run.train import TrainResult
    from maecli.verbs.train import ChosenOptions

EMPTY: tuple[object, ...] = (None, "", [], {})
"""Values that tell nothing."""
_LONG_NOTE = 40  # letters; a longer one would make a tower of the column


def show_evaluation(evaluation: Evaluation, with_tables: bool = False) -> None:
    """Print metrics beside their baselines and what is to be known of them; below, what has a row per class."""
    from maecli.reports.numbers import format_baselines, format_metric, verdict

    title = f"{evaluation.split}, {evaluation.samples}"
    table = text_table((title, "value (95% interval)", "baselines", ""), ())
    below = []
    for metric in evaluation.metrics:
        label = metric.label
        if len(metric.note) > _LONG_NOTE:
            below.append(f"{label}: {metric.note}")
        elif metric.note:
            label += f" ({metric.note})"
        table.add_row(
            one_line(label), format_metric(metric), "\n".join(map(one_line, format_baselines(metric))), verdict(metric)
        )
    console = PlainConsole()
    console.print(table)
    for note in (*below, *evaluation.notes):
        console.print(note, style="dim")
    for per_class in evaluation.tables if with_tables else ():
        console.print()
        console.print(rich_table(per_class))


def show_payoff(payoff: Payoff) -> None:
    """Print how a run compares with its companions: a row for each, and whether pretraining paid."""
    from maecli.reports.payoff import payoff_sentences, payoff_table

    table, console = payoff_table(payoff), PlainConsole()
    console.print()
    console.print(table.title)
    console.print(text_table(table.columns[:3], (row[:3] for row in table.rows)))
    for sentence in payoff_sentences(payoff):
        console.print(sentence)
    for remark in payoff.remarks:
        console.print(remark, style="dim")


def text_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> RichTable:
    """Return rows of text below the titles of their columns; what is too long for one is folded."""
    table = RichTable(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(one_line(column), overflow="fold")
    for row in rows:
        table.add_row(*map(one_line, row))
    return table


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print a row for each fact: what it is, and its value, folded between words but never within one, as a path is."""
    rows = [(one_line(name.replace("_", " ")), one_line(words(value))) for name, value in facts]
    width = max((len(name) for name, _ in rows), default=0)
    longest = max((len(word) for _, value in rows for word in value.split()), default=0)
    console = PlainConsole()
    if width + 1 + longest > console.width:
        answer(*(f"{name:<{width}} {value}" for name, value in rows))
        return
    table = RichTable(Column(no_wrap=True), Column(overflow="fold"), box=None, show_header=False, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def words(value: Any) -> str:
    """Return a value as people read it; of a long list the beginning, and of a mapping what holds something."""
    if isinstance(value, (list, tuple)):
        shown = ", ".join(f"({words(each)})" if isinstance(each, (list, tuple)) else words(each) for each in value[:12])
        return f"{shown}, … ({len(value)})" if len(value) > 12 else shown
    if isinstance(value, dict):
        return ", ".join(f"{key} {words(each)}" for key, each in value.items() if each not in EMPTY)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def rich_table(table: Table) -> RichTable:
    """Return a table whose columns of numbers are set flush right."""
    from maecli.reports.numbers import format_value

    drawn = RichTable(title=one_line(table.title), title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column, cells in zip(table.columns, zip(*table.rows, strict=True), strict=False):
        numeric = any(not isinstance(cell, str) for cell in cells)
        drawn.add_column(one_line(column), justify="right" if numeric else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(one_line(cell) if isinstance(cell, str) else format_value(cell) for cell in row))
    return drawn


def fits(table: RichTable, console: PlainConsole) -> bool:
    """Whether a table can be printed with nothing in it folded."""
    wide = console.options.update(max_width=10**6)
    return console.measure(table, options=wide).maximum <= console.width


def show_training(result: TrainResult, as_json: bool) -> None:
    from maecli.progress import duration

    if as_json:
        evaluation = result.evaluation.as_json() if result.evaluation else None
        print_json(
            {
                "run": str(result.run),
                "finished": result.finished,
                "seconds": round(result.seconds, 1),
                **({"ending": result.ending} if result.ending else {}),
                "evaluation": evaluation,
                "comparison": result.payoff.as_json() if result.payoff else None,
                **({"folds": {name: one.as_json() for name, one in result.folds.items()}} if result.folds else {}),
                "skipped": {fault.path: fault.reason for fault in result.faults},
            }
        )
        return
    if result.evaluation:
        if result.folds:
            PlainConsole().print(rich_table(result.evaluation.tables[0]))
        show_evaluation(result.evaluation)
    if result.payoff:
        show_payoff(result.payoff)
    answer(
        "",
        *([result.ending] if result.ending else []),
        *(
            [
                f"finished {result.run} in {duration(result.seconds)}",
                f"report: {result.run.path / 'report.html'}",
            ]
            if result.finished
            else []
        ),
    )
    show_next(result.next_commands)


def show_next(commands: Iterable[tuple[str, str]]) -> None:
    """Print two of the commands that follow, each with what it does: first those that can be typed as they are."""
    chosen = sorted(commands, key=lambda command: bool(PLACEHOLDER.search(command[0])))[:2]
    if chosen:
        answer("", "next:")
    for command, does in chosen:
        answer(f"  {command}", f"      {does}")


def this_command(*but: str) -> str:
    """Return the command line that was typed, without some words of it."""
    return shlex.join(["mae", *(word for word in sys.argv[1:] if word not in but)])


PLACEHOLDER = re.compile(r" (?:YOUR-[A-Z-]+|TASK)\b")
"""A word, such as YOUR-FOLDER, that a person has to replace."""
SAID = ("reading", "converted", "left_out", "spec", "sources", "estimated_seconds")
"""Facts of a dry run that stand above its table already, as lines, or below it."""


def show_dry_run(facts: Mapping[str, Any], settings: Iterable[Sequence[str]], as_json: bool) -> None:
    """Print what a run would be, and below it every setting (key, value, source)."""
    if as_json:
        print_json(facts)
        return
    shown = {key: value for key, value in facts.items() if key not in SAID}
    shown["memory_bytes"] = bytes_in_words(facts["memory_bytes"])
    show_facts((key.removesuffix("_bytes"), value) for key, value in shown.items())
    console = PlainConsole()
    console.print()
    console.print(text_table(("setting", "value", "from"), settings))
    show_next([(this_command("--dry-run"), "do this run")])


def show_chosen_options(plugins: Sequence[ChosenOptions], as_json: bool) -> None:
    """Print the options of each chosen plugin, and what recipes, files and flags make of them."""
    if as_json:
        print_json({"plugins": [asdict(plugin) for plugin in plugins]})
        return
    console = PlainConsole()
    for plugin in plugins:
        console.print(f"\n{plugin.heading}", soft_wrap=True)
        if plugin.options:
            console.print(options_table(plugin.options, plugin.here))


def options_table(options: Sequence[Option], here: Mapping[str, str] | None = None) -> RichTable:
    """Return options with types, defaults and descriptions; `here` says what settings make of some of them."""
    columns = ("option (--set KEY=VALUE)", "type", "default", *(["here"] if here else []), "what it does")
    values = {option.key: [here.get(option.key, "")] if here else [] for option in options}
    return text_table(columns, ((o.key, o.type, o.default, *values[o.key], o.description) for o in options))


MOST_TOLD = 1000
"""How many files a JSON answer names; the list on the disk has all."""


def skipped_json(faults: Collection[Fault], file: Path) -> dict[str, Any]:
    """Return what a JSON answer says of files that were left out: of very many the first, and where all are listed."""
    skipped = {fault.path: fault.reason for fault in itertools.islice(faults, MOST_TOLD)}
    if len(faults) <= MOST_TOLD:
        return {"skipped": skipped}
    return {"skipped": skipped, "num_skipped": len(faults), "skipped_file": str(file)}


def exit_if_skipped(faults: Collection[Fault], file: Path) -> None:
    """Say how many files were left out and where they are listed, of a single one why, and exit with 3.

    Where there are none nothing is done.
    """
    if faults:
        from maecli.training.finite import NOT_FINITE

        unreadable = not any(fault.reason.startswith(NOT_FINITE) for fault in faults)
        files = number_of(len(faults), "file")
        what = "could not be read" if unreadable else "was left out" if len(faults) == 1 else "were left out"
        told = str(next(iter(faults))) if len(faults) == 1 else f"{file} says why"
        tell(f"{files} {what}; {told}")
        raise typer.Exit(3)
