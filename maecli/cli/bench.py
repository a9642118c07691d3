"""`mae bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maecli.cli.application import app, print_json, stderr_progress, tells_errors
from maecli.cli.ask.options import BaseOption, CheckpointOption, DeviceOption, JsonOption, QuietOption
from maecli.cli.show.answers import text_table
from maecli.terminal import PlainConsole, answer
from maecli.text import bytes_in_words, number_of

if TYPE_CHECKING:
    from maecli.speed.result import BenchResult, Row


@app.command(epilog="Example: mae bench runs/finetune-labelled-classify")
@tells_errors
def bench(
    paths: Annotated[list[Path], typer.Argument(help="Run directories, checkpoints, and exported files.")],
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each form; default: one per core.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per forward pass of the throughput.")] = 16,
    seconds: Annotated[
        float, typer.Option(min=0, help="Time for each form at batch 1, and again at --batch-size.")
    ] = 5,
    checkpoint: CheckpointOption = "last",
    base: BaseOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how fast a run answers: PyTorch, compiled, and exported files, in turn, with memory and size of file."""
    from maecli.registry import registry
    from maecli.verbs.bench import bench as run_bench

    result = run_bench(
        paths,
        registry(),
        stderr_progress(quiet),
        checkpoint=checkpoint,
        base=base,
        device=device or "cpu",
        threads=threads,
        batch_size=batch_size,
        seconds=seconds,
    )
    if as_json:
        print_json(result.as_json())
    else:
        _show(result)


def _show(result: BenchResult) -> None:
    machine, first, console = result.machine, result.rows[0], PlainConsole()
    size = first.throughput.batch_size
    columns = ("form", "ms at batch 1", "95%", "× as fast", f"per second at {size}", "× as fast", "memory", "file")
    console.print(text_table(columns, (_cells(row, first) for row in result.rows)))
    console.print()
    answer(f"{machine.cpu} ({', '.join(machine.instructions)}), {number_of(machine.threads, 'thread')} each")
    if not machine.device.startswith(machine.cpu):
        answer(f"PyTorch on {machine.device}; files on the CPU")
    for name, what in result.inputs.items():
        answer(f"{name}: {what}")
    for line in (
        "ms: the median and the 95th percentile of single steps, from raw samples to answers.",
        f"× as fast: beside {first.name}, the median of turns side by side (and their middle half).",
        "memory: what loading and running added to the process, at its peak.",
        *(f"not measured: {name}: {reason}" for name, reason in result.left_out.items()),
        *filter(None, [result.note]),
    ):
        console.print(line, style="dim")


def _cells(row: Row, first: Row) -> list[str]:
    latency, throughput = row.latency.record(first.latency), row.throughput.record(first.throughput)
    return [
        row.name,
        f"{latency['median_ms']:,.2f}",
        f"{latency['p95_ms']:,.2f}",
        _ratio(latency["speedup"], *latency["speedup_middle_half"]) if row is not first else "1",
        f"{throughput['per_second']:,.1f}",
        _ratio(throughput["speedup"], *throughput["speedup_middle_half"]) if row is not first else "1",
        bytes_in_words(row.memory.added) if row.memory.peak else "",
        bytes_in_words(row.num_bytes),
    ]


def _ratio(middle: float, low: float, high: float) -> str:
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
