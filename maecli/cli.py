"""The command line: parse, hand over, print. Imports neither torch nor any plugin before a verb runs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable

from maecli import __version__
from maecli.errors import MaeError, SpecError

if TYPE_CHECKING:
    from maecli.results import Evaluation
    from maecli.runs.training import DryRun, TrainResult

app = typer.Typer(
    name="mae",
    help="Pretrain vision transformers by masked autoencoding on your own data, fine-tune them, measure them "
    "honestly, and run them on folders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DATA, MODEL, TRAINING, RUN, OUTPUT = "Data", "Model", "Training", "Run", "Output"


def _option(*names: str, help: str, panel: str, **settings: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **settings)


DatasetOption = Annotated[str | None, _option("--dataset", help="Data set plugin, see mae plugins.", panel=DATA)]
RootOption = Annotated[Path | None, _option("--root", help="Folder that holds the data (dataset.root).", panel=DATA)]
WorkersOption = Annotated[int | None, _option("--workers", min=0, help="Processes that read files.", panel=DATA)]
StrictOption = Annotated[
    bool | None, _option("--strict/--no-strict", help="Stop at the first unreadable file.", panel=DATA)
]
ModelOption = Annotated[str | None, _option("--model", help="Model plugin, such as vit-small.", panel=MODEL)]
PatchSizeOption = Annotated[
    str | None, _option("--patch-size", help="Pixels: 16, or 16x8 (height x width).", panel=MODEL)
]
ImgSizeOption = Annotated[
    str | None, _option("--img-size", help="Pixels: 224, or 64x84 (height x width).", panel=MODEL)
]
MaskRatioOption = Annotated[
    float | None, _option("--mask-ratio", help="Share of the patches that is hidden.", panel=MODEL)
]
TaskOption = Annotated[str | None, _option("--task", help="Task plugin, such as classify.", panel=MODEL)]
InitOption = Annotated[
    Path | None, _option("--init", help="Start from the encoder of this run or checkpoint.", panel=MODEL)
]
EpochsOption = Annotated[int | None, _option("--epochs", help="Passes over the training data.", panel=TRAINING)]
BatchSizeOption = Annotated[int | None, _option("--batch-size", help="Samples per optimizer step.", panel=TRAINING)]
MicroBatchOption = Annotated[
    int | None, _option("--micro-batch-size", help="Samples per forward pass.", panel=TRAINING)
]
BaseLrOption = Annotated[
    float | None, _option("--base-lr", help="Learning rate per 256 samples of a batch.", panel=TRAINING)
]
SeedOption = Annotated[int | None, _option("--seed", help="Seed of all randomness.", panel=TRAINING)]
RecipeOption = Annotated[str | None, _option("--recipe", help="Start from a shipped recipe.", panel=RUN)]
ConfigOption = Annotated[
    Path | None,
    _option("--config", help="Spec or recipe file (YAML), such as a run's spec.yaml.", panel=RUN),
]
SetOption = Annotated[
    list[str] | None,
    _option("--set", help="Set any key: --set train.ema_decay=0.999.", panel=RUN, metavar="A.B=C"),
]
OutOption = Annotated[
    Path | None, _option("--out", help="Run directory; default: runs/VERB-DATASET[-TASK].", panel=RUN)
]
ResumeOption = Annotated[bool, _option("--resume", help="Continue the run that is there.", panel=RUN)]
OverwriteOption = Annotated[bool, _option("--overwrite", help="Replace what is there.", panel=RUN)]
DryRunOption = Annotated[
    bool, _option("--dry-run", help="Resolve, build, time a few steps, and write nothing.", panel=RUN)
]
DeviceOption = Annotated[str | None, _option("--device", help="auto, cpu, mps, cuda or cuda:N.", panel=RUN)]
PrecisionOption = Annotated[str | None, _option("--precision", help="auto, float32 or bf16.", panel=RUN)]
JsonOption = Annotated[bool, _option("--json", help="One JSON object on stdout.", panel=OUTPUT)]
QuietOption = Annotated[bool, _option("--quiet", "-q", help="Errors only.", panel=OUTPUT)]
VerboseOption = Annotated[bool, _option("--verbose", "-v", help="Also say where each setting came from.", panel=OUTPUT)]


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


def _size(text: str | None, name: str) -> int | list[int] | None:
    """Return pixels from `224` or `64x84`."""
    if text is None:
        return None
    try:
        sizes = [int(part) for part in text.lower().split("x")]
    except ValueError as error:
        raise SpecError(f"--{name} {text!r} is no size; write 224, or 64x84 for height x width") from error
    return sizes[0] if len(sizes) == 1 else sizes


def _stderr(quiet: bool) -> Console:
    return Console(stderr=True, quiet=quiet)


@contextlib.contextmanager
def user_errors(as_json: bool = False) -> Iterator[None]:
    """Print a user's error as one message, without a traceback, and exit with its code."""
    try:
        yield
    except (MaeError, KeyboardInterrupt) as error:
        message, code = (str(error), error.exit_code) if isinstance(error, MaeError) else ("interrupted", 130)
        if as_json:
            print(json.dumps({"error": message, "exit_code": code}))
        print(f"mae: {message}", file=sys.stderr)
        raise typer.Exit(code) from None


def _train(verb: str, flags: dict[str, Any], **how: Any) -> None:
    with user_errors(how["as_json"]):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.request import request
        from maecli.runs.training import dry_run, train

        for name in ("patch_size", "img_size"):
            flags[f"model.{name}"] = _size(flags[f"model.{name}"], name.replace("_", "-"))
        flags = {key: str(value) if isinstance(value, Path) else value for key, value in flags.items()}
        console = _stderr(how["quiet"])
        progress = train_progress(console)
        resolved = request(
            verb,
            registry(),
            recipe=how["recipe"],
            config=how["config"],
            sets=how["sets"] or (),
            flags=flags,
            resume=how["resume"],
        )
        if how["verbose"]:
            for key, source in sorted(resolved.sources.items()):
                progress.say(f"{key}: from {source}")
        if how["dry_run"]:
            _show_dry_run(dry_run(resolved.spec, registry(), progress), how["as_json"])
            return
        result = train(resolved.spec, registry(), progress, resume=how["resume"], overwrite=how["overwrite"])
        _show_training(result, how["as_json"])


@app.command()
def pretrain(
    dataset: DatasetOption = None,
    root: RootOption = None,
    workers: WorkersOption = None,
    strict: StrictOption = None,
    model: ModelOption = None,
    patch_size: PatchSizeOption = None,
    img_size: ImgSizeOption = None,
    mask_ratio: MaskRatioOption = None,
    init: InitOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    micro_batch_size: MicroBatchOption = None,
    base_lr: BaseLrOption = None,
    seed: SeedOption = None,
    recipe: RecipeOption = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Pretrain a masked autoencoder on unlabelled data."""
    flags = {
        "dataset.name": dataset,
        "dataset.root": root,
        "data.workers": workers,
        "data.strict": strict,
        "model.name": model,
        "model.patch_size": patch_size,
        "model.img_size": img_size,
        "task.mask_ratio": mask_ratio,
        "init": init,
        "train.epochs": epochs,
        "train.batch_size": batch_size,
        "train.micro_batch_size": micro_batch_size,
        "train.base_lr": base_lr,
        "seed": seed,
        "device": device,
        "precision": precision,
        "out": out,
    }
    _train(
        "pretrain",
        flags,
        recipe=recipe,
        config=config,
        sets=sets,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
    )


@app.command()
def finetune(
    task: TaskOption = None,
    init: InitOption = None,
    dataset: DatasetOption = None,
    root: RootOption = None,
    workers: WorkersOption = None,
    strict: StrictOption = None,
    model: ModelOption = None,
    patch_size: PatchSizeOption = None,
    img_size: ImgSizeOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    micro_batch_size: MicroBatchOption = None,
    base_lr: BaseLrOption = None,
    seed: SeedOption = None,
    recipe: RecipeOption = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Fine-tune a pretrained encoder (or one from scratch) for a task."""
    flags = {
        "task.name": task,
        "init": init,
        "dataset.name": dataset,
        "dataset.root": root,
        "data.workers": workers,
        "data.strict": strict,
        "model.name": model,
        "model.patch_size": patch_size,
        "model.img_size": img_size,
        "train.epochs": epochs,
        "train.batch_size": batch_size,
        "train.micro_batch_size": micro_batch_size,
        "train.base_lr": base_lr,
        "seed": seed,
        "device": device,
        "precision": precision,
        "out": out,
    }
    _train(
        "finetune",
        flags,
        recipe=recipe,
        config=config,
        sets=sets,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
    )


@app.command("eval")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    checkpoint: Annotated[str, typer.Option(help="last or best (by validation).")] = "last",
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
        _show_evaluation(result.evaluation)
        print(f"\nreport: {result.run.path / 'report.html'}")


@app.command()
def infer(
    source: Annotated[Path, typer.Argument(metavar="FILE-OR-DIR", help="A picture, or a folder of pictures.")],
    task: TaskOption = None,
    run: Annotated[Path | None, typer.Option(help="Run directory; default: the newest finished run of --task.")] = None,
    checkpoint: Annotated[str, typer.Option(help="last or best (by validation).")] = "last",
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
                        "skipped": result.skipped,
                    }
                )
            )
        else:
            print(f"{result.num_predicted:,} predicted: {result.out / 'predictions.csv'}")
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
    """Pretrain, fine-tune, evaluate and infer on handwritten digits, in about a minute."""
    with user_errors(as_json):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.demo import demo as run_demo

        result = run_demo(registry(), train_progress(_stderr(quiet)), out=out, overwrite=overwrite, device=device)
        if as_json:
            print(json.dumps({"report": str(result.report), **result.evaluation.as_json()}))
            return
        _show_evaluation(result.evaluation)
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


def _show_evaluation(evaluation: Evaluation) -> None:
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


def _show_training(result: TrainResult, as_json: bool) -> None:
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
        _show_evaluation(result.evaluation)
    print(f"\nfinished {result.run} in {duration(result.seconds)}\nreport: {result.run.path / 'report.html'}")


def _show_dry_run(result: DryRun, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.facts))
        return
    table = RichTable(box=None, show_header=False, pad_edge=False)
    for key, value in result.facts.items():
        table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(table)


def main() -> None:
    """Run the command line."""
    app()
