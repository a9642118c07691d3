"""What `mae infer` tells of predictions: by class, the least certain ones, how many are right; of a single one, all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Column
from rich.table import Table as RichTable

from maecli.cli.show.answers import MOST_TOLD, words
from maecli.terminal import PlainConsole, answer
from maecli.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from maecli.outputs.summary import Summary
    from maecli.verbs.infer import InferResult

MOST_CLASSES = 20
"""Of more the most frequent are shown."""
MOST_COLUMNS = 8
"""Of a single prediction, besides its answer."""
NONE = "(none)"


def predictions_json(result: InferResult) -> dict[str, Any]:
    """Return what a JSON answer says of predictions: all of them, or of very many where they are."""
    told = result.summary.record() | ({"masks": result.masks.record()} if result.masks is not None else {})
    if result.num_predicted <= MOST_TOLD:
        return told | {"predictions": list(result.rows())}
    return told | {"predictions_file": str(result.jsonl)}


def show_predictions(result: InferResult) -> None:
    """Print the answer of a single prediction; of more those by class, the least certain, and how many are right."""
    from maecli.outputs.sentences import findings, warning

    summary, console = result.summary, PlainConsole()
    if result.num_predicted == 1:
        (row,) = result.rows()
        console.print(_facts(row, summary.columns))
        answer("")
    elif result.num_predicted and summary.answer is not None:
        console.print(_by_class(result))
        if summary.least_certain:
            answer("", f"the least certain of {summary.num:,}:")
            console.print(_least_certain(summary))
        if found := list(findings(summary, result.masks, result.unit)):
            answer("", *found)
        answer("")
    if told := warning(summary, result.masks, result.unit):
        answer(f"note: {told}", "")


def _facts(row: Mapping[str, Any], first: Sequence[str]) -> RichTable:
    """Return what is told of a row: its answer, and of many other numbers the highest."""
    facts = [(name, row[name] if row[name] != "" else NONE) for name in first if name in row]
    others = [(name, value) for name, value in row.items() if name not in first]
    if len(others) > MOST_COLUMNS:
        numbers = [(name, value) for name, value in others if isinstance(value, (int, float))]
        others = sorted(numbers, key=lambda cell: -cell[1])[:MOST_COLUMNS]
    table = RichTable("", Column(overflow="fold"), box=None, show_header=False, pad_edge=False)
    for name, value in (*facts, *others):
        table.add_row(one_line(name), one_line(words(value)))
    return table


def _by_class(result: InferResult) -> RichTable:
    """Return for how many samples each class is an answer; where they are of masks, also its cells and its IoU."""
    summary, masks, unit = result.summary, result.masks, result.unit.many
    of_masks = [] if masks is None else [f"share of {result.part}s", *(["IoU"] if masks.overlap else [])]
    table = _table(("class", unit, "share", *of_masks), numbers=(unit, "share", *of_masks))
    shares = {} if masks is None else masks.shares
    iou = masks.overlap.iou if masks is not None and masks.overlap else {}
    for name, num in summary.counts.most_common(MOST_CLASSES):
        cells = [f"{num:,}", f"{num / summary.num:.1%}"]
        if masks is not None:
            cells.append(f"{shares[name]:.1%}" if name in shares else "")
        if masks is not None and masks.overlap:
            cells.append(f"{iou[name]:.1%}" if name in iou else "")
        table.add_row(one_line(name or NONE), *cells)
    others = list(summary.counts.values())
    if len(others) > MOST_CLASSES:
        table.add_row(f"… and {len(others) - MOST_CLASSES:,} more classes, in predictions.csv", "", "")
    return table


def _least_certain(summary: Summary) -> RichTable:
    rows = summary.least_certain
    columns = [name for name in summary.columns if any(name in row for row in rows)]
    table = _table(columns, numbers=[name for name in columns if any(isinstance(row.get(name), float) for row in rows)])
    for row in rows:
        table.add_row(*(_cell(row.get(name, "")) for name in columns))
    return table


def _table(columns: Iterable[str], numbers: Sequence[str]) -> RichTable:
    table = RichTable(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(one_line(name), justify="right" if name in numbers else "left", overflow="fold")
    return table


def _cell(value: str | int | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.1%}" if isinstance(value, float) else one_line(value)
