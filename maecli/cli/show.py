"""What the verbs print when they are done: tables for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable

if TYPE_CHECKING:
    from maecli.results import Evaluation
    from maecli.runs.training import DryRun, TrainResult


def show_evaluation(evaluation: Evaluation) -> None:
    from maecli.reports.numbers import format_figure, format_twins, verdict

    table = RichTable(box=None, header_style="bold", pad_edge=False)
    for column in (
        f"{evaluation.split}, {evaluation.num_samples:,} samples",
        "value (95% interval)",
        "trivial twins",
        "",
    ):
        table.add_column(column, overflow="fold")
    for figure in evaluation.figures:
        label = f"{figure.label} ({figure.note})" if figure.note else figure.label
        table.add_row(label, format_figure(figure), "\n".join(format_twins(figure)), verdict(figure))
    console = Console()
    console.print(table)
    for note in evaluation.notes:
        console.print(note, style="dim")


def show_training(result: TrainResult, as_json: bool) -> None:
    from maecli.progress import duration

    if as_json:
        evaluation = result.evaluation.as_json() if result.evaluation else None
        print(
            json.dumps(
                {
                    "run": str(result.run),
                    "seconds": round(result.seconds, 1),
                    "evaluation": evaluation,
                    "skipped": result.skipped,
                }
            )
        )
        return
    if result.evaluation:
        show_evaluation(result.evaluation)
    print(f"\nfinished {result.run} in {duration(result.seconds)}\nreport: {result.run.path / 'report.html'}")


def show_dry_run(result: DryRun, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.facts))
        return
    table = RichTable(box=None, show_header=False, pad_edge=False)
    for key, value in result.facts.items():
        table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(table)
