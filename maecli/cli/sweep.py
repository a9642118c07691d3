"""`mae sweep`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maecli.cli.application import app, print_json, stderr_progress
from maecli.cli.ask.options import (
    RUN,
    TRAINING,
    JsonOption,
    OverwriteOption,
    QuietOption,
    VerboseOption,
    asks,
    option,
)
from maecli.cli.show.answers import rich_table, show_next, this_command
from maecli.spec.ask import Ask
from maecli.terminal import PlainConsole, answer, tell
from maecli.text import number_of

if TYPE_CHECKING:
    from maecli.sweep.run import SweepResult

GridOption = Annotated[
    list[str] | None,
    option(
        "--grid",
        help="A key and its values, repeatable: every combination is run. model.patch_size=2,4 for both verbs, "
        "pretrain.task.mask_ratio=0.5,0.75 or finetune.train.epochs=5,10 for one.",
        panel=RUN,
        metavar="KEY=V,V",
    ),
]
SeedsOption = Annotated[str | None, option("--seeds", help="How many (3), or which (0,5,7).", panel=TRAINING)]
NoPretrainOption = Annotated[bool, option("--no-pretrain", help="Only fine-tune, from scratch.", panel=RUN)]
NoFinetuneOption = Annotated[
    bool, option("--no-finetune", help="Only pretrain, and measure reconstructions.", panel=RUN)
]
DryRunOption = Annotated[
    bool,
    option(
        "--dry-run",
        help="List the runs, what is there of them, and how long they would take; write nothing.",
        panel=RUN,
    ),
]


@app.command(epilog="Example: mae sweep --recipe labels --dry-run")
@asks(
    "sweep",
    *("dataset", "root", "workers", "strict", "labels", "task", "model", "patch_size", "img_size", "mask_ratio"),
    *("mask", "init", "freeze", "freeze_blocks", "adapt", "head", "device", "precision", "out", "recipe", "config"),
    *("sets", "resume"),
)
def sweep(
    ask: Ask,
    grid: GridOption = None,
    seeds: SeedsOption = None,
    no_pretrain: NoPretrainOption = False,
    no_finetune: NoFinetuneOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Pretrain, fine-tune and measure at every point of a grid, for several seeds; what is finished is not repeated.

    A key of --grid and --set begins with the verb that it is for, as pretrain.task.mask_ratio or
    finetune.train.epochs; dataset.*, model.* and data.* may go to both. With --init every fine-tuning starts from that
    encoder, and nothing is pretrained.
    """
    from maecli.registry import registry
    from maecli.verbs import sweep as verbs

    progress = stderr_progress(quiet)
    without = [verb for verb, left_out in (("pretrain", no_pretrain), ("finetune", no_finetune)) if left_out]
    plan, out = verbs.plan_sweep(ask, registry(), grid=grid or (), seeds=seeds, without=without)
    if verbose:
        for runs, setting in verbs.settings_of_plan(plan):
            progress.say(f"{runs}: {setting.key}: {setting.value} ({setting.source})")
    if dry_run:
        show_plan(verbs.dry_run(plan, out, registry(), progress), str(out), as_json)
        return
    result = verbs.sweep(plan, out, registry(), progress, resume=ask.resume, overwrite=overwrite)
    show_sweep(result, as_json)
    if result.failed:
        failed = "; ".join(f"{run}: {why}" for run, why in result.failed.items())
        tell(f"{len(result.failed)} of {number_of(len(plan.jobs), 'run')} failed: {failed}")
        raise typer.Exit(1)


def show_plan(jobs: list[dict[str, Any]], out: str, as_json: bool) -> None:
    """Print the runs that a sweep takes, and which of them are there."""
    if as_json:
        print_json({"out": out, "runs": jobs})
        return
    from maecli.progress import duration
    from maecli.results import Table

    left = [job for job in jobs if not job["state"].startswith("finished")]
    rows = [(*list(job.values())[:3], duration(job["estimated_seconds"]) if job in left else "") for job in jobs]
    PlainConsole().print(rich_table(Table(title="", columns=("run", "starts from", "state", "time"), rows=tuple(rows))))
    time = duration(sum(job["estimated_seconds"] for job in left))
    answer("", f"{number_of(len(jobs), 'run')} in {out}, {len(left)} of them to do, in about {time} of training")
    show_next([(this_command("--dry-run"), "do them")])


def show_sweep(result: SweepResult, as_json: bool) -> None:
    """Print the headline metrics of a sweep, what it found, and where its page is."""
    from maecli.sweep.report import PAGE, sweep_tables

    if as_json:
        print_json({"out": str(result.out), "found": [*result.found], **result.outcome.as_json()})
        return
    console = PlainConsole()
    for table in sweep_tables(result.outcome):
        console.print(rich_table(table))
        console.print()
    answer(*result.found, "", f"report: {result.out / PAGE}")
    show_next([(shlex.join(["mae", "runs", str(result.out)]), "list its runs")])
