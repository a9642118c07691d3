"""The command line: parse, hand over, print. Imports neither torch nor any plugin before a verb runs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable

from maecli import __version__
from maecli.cli.options import (
    NOT_OF_EDA,
    CheckpointOption,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
    QuietOption,
    RootOption,
    TaskOption,
    WorkersOption,
    run_options,
    spec_settings,
)
from maecli.cli.show import show_dry_run, show_evaluation, show_training
from maecli.errors import DataError, MaeError, SpecError

app = typer.Typer(
    name="mae",
    help="Pretrain vision transformers by masked autoencoding on your own data, fine-tune them, measure them "
    "honestly, and run them on folders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mae {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before a verb."""


def _stderr(quiet: bool) -> Console:
    return Console(stderr=True, quiet=quiet)


@contextlib.contextmanager
def user_errors(as_json: bool = False) -> Iterator[None]:
    """Print a user's error as one message, without a traceback, and exit with its code."""
    try:
        yield
    except (MaeError, KeyboardInterrupt) as error:
        message, code = (str(error), error.exit_code) if isinstance(error, MaeError) else ("interrupted", 130)
        problems, untold = (error.problems, error.untold) if isinstance(error, DataError) else ((), [])
        if as_json:
            listed = [{"path": path, "rule": rule} for path, rule in problems]
            print(json.dumps({"error": message, "exit_code": code} | ({"problems": listed} if listed else {})))
        for path, rule in untold:
            print(f"{path}: {rule}", file=sys.stderr)
        print(f"mae: {message}", file=sys.stderr)
        raise typer.Exit(code) from None


def _train(verb: str, given: dict[str, Any]) -> None:
    with user_errors(given["as_json"]):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.request import request
        from maecli.runs.training import dry_run, train

        progress = train_progress(_stderr(given["quiet"]))
        resolved = request(
            verb,
            registry(),
            recipe=given["recipe"],
            config=given["config"],
            sets=given["sets"] or (),
            flags=spec_settings(given),
            resume=given["resume"],
        )
        if given["verbose"]:
            for key, source in sorted(resolved.sources.items()):
                progress.say(f"{key}: from {source}")
        if given["dry_run"]:
            show_dry_run(dry_run(resolved.spec, registry(), progress), given["as_json"])
            return
        result = train(resolved.spec, registry(), progress, resume=given["resume"], overwrite=given["overwrite"])
        show_training(result, given["as_json"])


@app.command()
@run_options("task")
def pretrain(**given: Any) -> None:
    """Pretrain a masked autoencoder on unlabelled data."""
    _train("pretrain", given)


@app.command()
@run_options("mask_ratio")
def finetune(**given: Any) -> None:
    """Fine-tune a pretrained encoder (or one from scratch) for a task."""
    _train("finetune", given)


@app.command()
@run_options(*NOT_OF_EDA)
def eda(**given: Any) -> None:
    """Show what is in a data set: sizes, classes, masks, copies, broken files, and what to make of it."""
    with user_errors(given["as_json"]):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.eda import eda as run_eda
        from maecli.runs.eda import resolve_eda

        progress = train_progress(_stderr(given["quiet"]))
        resolved = resolve_eda(
            registry(),
            recipe=given["recipe"],
            config=given["config"],
            sets=given["sets"] or (),
            flags=spec_settings(given),
        )
        if given["verbose"]:
            for verb, each in resolved.items():
                for key, source in sorted(each.sources.items()):
                    progress.say(f"{verb}: {key}: from {source}")
        specs = {verb: each.spec for verb, each in resolved.items()}
        result = run_eda(specs, registry(), progress, overwrite=given["overwrite"])
        problems = result.findings.problems
        if given["as_json"]:
            print(json.dumps({"report": str(result.report), **result.findings.model_dump(mode="json")}))
        else:
            for sentence in result.findings.advice:
                print(f"- {sentence}")
            print(f"\nopen {result.report}")
        if problems:
            faults = "1 fault" if len(problems) == 1 else f"{len(problems):,} faults, the first of them"
            print(
                f"mae: {faults}: {problems[0].path}: {problems[0].rule}; the page lists what breaks a rule",
                file=sys.stderr,
            )
            raise typer.Exit(3)


@app.command("eval")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    checkpoint: CheckpointOption = "last",
    root: RootOption = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples per forward pass.")] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a run on a split, beside what trivial predictors get there."""
    with user_errors(as_json):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.evaluate import evaluate as run_evaluation

        result = run_evaluation(
            run,
            registry(),
            train_progress(_stderr(quiet)),
            split=split,  # type: ignore[arg-type]
            which=checkpoint,
            device_name=device or "auto",
            precision=precision or "auto",
            batch_size=batch_size,
            root=root,
        )
        if as_json:
            print(
                json.dumps(
                    {
                        "run": str(result.run),
                        "checkpoint": str(result.checkpoint),
                        **result.evaluation.as_json(),
                        "skipped": result.skipped,
                    }
                )
            )
            return
        show_evaluation(result.evaluation, with_tables=True)
        print(f"\nreport: {result.run.path / 'report.html'}")


@app.command()
def infer(
    source: Annotated[Path, typer.Argument(metavar="FILE-OR-DIR", help="A picture, or a folder of pictures.")],
    task: TaskOption = None,
    run: Annotated[Path | None, typer.Option(help="Run directory; default: the newest finished run of --task.")] = None,
    checkpoint: CheckpointOption = "last",
    out: Annotated[Path | None, typer.Option(help="Where to write; default: runs/infer-RUN.")] = None,
    overwrite: OverwriteOption = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures per forward pass.")] = 64,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a finished run on files; exits 3 when some could not be read."""
    with user_errors(as_json):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.infer import infer as run_inference

        result = run_inference(
            source,
            registry(),
            train_progress(_stderr(quiet)),
            task=task,
            run=run,
            which=checkpoint,
            out=out,
            overwrite=overwrite,
            device_name=device or "auto",
            precision=precision or "auto",
            batch_size=batch_size,
            workers=workers,
        )
        if as_json:
            print(
                json.dumps(
                    {
                        "out": str(result.out),
                        "run": str(result.run),
                        "predicted": result.num_predicted,
                        "pictures": [str(picture) for picture in result.pictures],
                        "skipped": result.skipped,
                    }
                )
            )
        else:
            print(f"{result.num_predicted:,} predicted: {result.out / 'predictions.csv'}")
            for picture in result.pictures:
                print(f"the first of them, drawn: {picture}")
            if (result.out / "files").is_dir():
                print(f"what was made of each picture: {result.out / 'files'}")
        if result.skipped:
            print(
                f"mae: {len(result.skipped):,} files could not be read; {result.out / 'skipped.csv'} says why",
                file=sys.stderr,
            )
            raise typer.Exit(3)


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option(help="Where to write; default: runs/demo.")] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Pretrain, fine-tune, evaluate and infer on data that need no download, in about a minute."""
    with user_errors(as_json):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.demo import demo as run_demo

        result = run_demo(registry(), train_progress(_stderr(quiet)), out=out, overwrite=overwrite, device=device)
        if as_json:
            print(json.dumps({"report": str(result.report), **result.evaluation.as_json()}))
            return
        show_evaluation(result.evaluation)
        print(
            f"\nopen {result.report}: reconstructions, curves and the confusion matrix\n\nnext, on your own pictures:"
        )
        for command, does in result.next_commands:
            print(f"  {command}\n      {does}")


@app.command()
def plugins(as_json: JsonOption = False) -> None:
    """List the data sets, tasks, models, trackers and recipes that are installed."""
    from maecli.registry import registry

    listings = registry().listings
    if as_json:
        print(json.dumps({"plugins": [vars(each) for each in listings]}))
        return
    table = RichTable(box=None, header_style="bold")
    for column in ("kind", "name", "package", "version", "problem"):
        table.add_column(column)
    for each in listings:
        table.add_row(each.kind, each.name, each.package, each.version, each.problem)
    Console().print(table)


@app.command()
def schema(
    verb: Annotated[str, typer.Argument(help="pretrain or finetune.")] = "pretrain",
) -> None:
    """Print the JSON Schema of a run's spec."""
    with user_errors():
        from maecli.errors import nearest
        from maecli.specs import SPECS

        if verb not in SPECS:
            raise SpecError(f"no spec for {verb!r}{nearest(verb, SPECS)}; there are {', '.join(SPECS)}")
        print(json.dumps(SPECS[verb].model_json_schema(), indent=2))


def main() -> None:
    """Run the command line."""
    app()
