"""`mae sweep`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maecli.cli.application import app, print_json, stderr_console, user_errors
from maecli.cli.finetune import finetune
from maecli.cli.options import RUN, SPEC_FLAGS, TRAINING, option, run_options, spec_settings
from maecli.cli.pretrain import pretrain
from maecli.cli.show import rich_table
from maecli.terminal import PlainConsole, answer, tell

if TYPE_CHECKING:
    from maecli.sweep.address import Words
    from maecli.sweep.run import SweepResult

NOT_OF_SWEEP = ("init", "init_partial", "epochs", "batch_size", "micro_batch_size", "base_lr", "seed", "verbose")
"""What each verb of a sweep has in its own way: --set finetune.train.epochs=5."""

OF_SWEEP: dict[str, tuple[Any, Any]] = {
    "grid": (
        Annotated[
            list[str] | None,
            option(
                "--grid",
                help="A key and its values, repeatable: every combination is run. mask_ratio=0.5,0.75 or "
                "model.patch_size=2,4; a key that both verbs have is written with one: finetune.train.epochs=5,10.",
                panel=RUN,
                metavar="KEY=V,V",
            ),
        ],
        None,
    ),
    "seeds": (
        Annotated[str | None, option("--seeds", help="How many (3), or which (0,5,7).", panel=TRAINING)],
        None,
    ),
    "no_pretrain": (
        Annotated[bool, option("--no-pretrain", help="Only fine-tune, from scratch.", panel=RUN)],
        False,
    ),
    "no_finetune": (
        Annotated[bool, option("--no-finetune", help="Only pretrain, and measure reconstructions.", panel=RUN)],
        False,
    ),
    "dry_run": (
        Annotated[
            bool,
            option(
                "--dry-run",
                help="List the runs, what is there of them, and how long they would take; write nothing.",
                panel=RUN,
            ),
        ],
        False,
    ),
}


@app.command()
@run_options(*NOT_OF_SWEEP, more=OF_SWEEP)
def sweep(**given: Any) -> None:
    """Pretrain, fine-tune and measure at every point of a grid, for several seeds; what is finished is not repeated.

    A key of --grid and --set goes to the verb that it is meant for: task.mask_ratio to pretraining, task.head to
    fine-tuning, dataset.*, model.* and data.* to both; any other key is written with its verb, as in
    pretrain.train.epochs.
    """
    with user_errors(given["as_json"]):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.schema import SPECS
        from maecli.storage.lock import locked
        from maecli.sweep.estimate import estimate_seconds
        from maecli.sweep.plan import make_plan
        from maecli.sweep.request import request_sweep
        from maecli.sweep.run import Shelf, begin, list_jobs, run_sweep

        progress = train_progress(stderr_console(given["quiet"]))
        flags = {key: value for key, value in spec_settings(given).items() if key != "out"}
        asked, out = request_sweep(
            registry(),
            words(),
            recipe=given["recipe"],
            config=given["config"],
            grid=given["grid"] or (),
            seeds=given["seeds"],
            sets=given["sets"] or (),
            flags=flags,
            without=[verb for verb in SPECS if given[f"no_{verb}"]],
            out=given["out"],
            resume=given["resume"],
        )
        plan = make_plan(asked, registry(), words())
        if given["dry_run"]:
            seconds = estimate_seconds(plan, registry(), progress)
            show_plan(list_jobs(plan, Shelf(plan, registry(), out), seconds), str(out), given["as_json"])
            return
        with locked(out):
            begin(asked, out, resume=given["resume"], overwrite=given["overwrite"])
            result = run_sweep(plan, registry(), progress, out)
        show_sweep(result, given["as_json"])
        if result.failed:
            failed = "; ".join(f"{run}: {why}" for run, why in result.failed.items())
            tell(f"{len(result.failed)} of {len(plan.jobs)} runs failed: {failed}")
            raise typer.Exit(1)


def words() -> Words:
    """Return what the flags of the two verbs call the keys of a spec."""
    from maecli.sweep.address import Words

    verbs: dict[str, Callable[..., None]] = {"pretrain": pretrain, "finetune": finetune}
    flags = {verb: inspect.signature(command).parameters.keys() for verb, command in verbs.items()}
    having = {name: [verb for verb in verbs if name in flags[verb]] for name in SPEC_FLAGS}
    return Words(
        short={name: flag.key for name, flag in SPEC_FLAGS.items()},
        only={SPEC_FLAGS[name].key: found[0] for name, found in having.items() if len(found) == 1},
    )


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
    answer("", f"{len(jobs)} runs in {out}, {len(left)} of them to do, in about {time} of training")


def show_sweep(result: SweepResult, as_json: bool) -> None:
    """Print the headline metrics of a sweep, and where its page is."""
    from maecli.sweep.report import sweep_tables
    from maecli.sweep.write import PAGE

    if as_json:
        print_json({"out": str(result.out), **result.outcome.as_json()})
        return
    console = PlainConsole()
    for table in sweep_tables(result.outcome):
        console.print(rich_table(table))
        console.print()
    answer(f"report: {result.out / PAGE}")
