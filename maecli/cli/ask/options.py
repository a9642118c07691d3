"""The options of the verbs, each declared once, and how those that set keys of the spec become an `Ask`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from maecli.cli.application import tells_errors
from maecli.cli.ask.complete import keys, names, values
from maecli.errors import SpecError
from maecli.spec.ask import COMPARISONS, Ask
from maecli.text import brief

MAX_SIDE = 2**16
"""Pixels; more than any picture has."""
DATA, MODEL, TRAINING, RUN, OUTPUT = "Data", "Model", "Training", "Run", "Output"


def option(*names: str, help: str, panel: str, **settings: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **settings)


RootOption = Annotated[Path | None, option("--root", help="Folder that holds the data (dataset.root).", panel=DATA)]
WorkersOption = Annotated[int | None, option("--workers", min=0, help="Processes that read files.", panel=DATA)]
LabelsOption = Annotated[
    str | None,
    option("--labels", help="Learn from a part of the labels: 10%, or 4 for 4 samples of each class.", panel=DATA),
]
TaskOption = Annotated[
    str | None,
    option("--task", help="Task plugin, such as classify.", panel=MODEL, autocompletion=names("task")),
]
SetOption = Annotated[
    list[str] | None,
    option(
        "--set",
        help="Set any key: --set train.ema_decay=0.999.",
        panel=RUN,
        metavar="A.B=C",
        autocompletion=keys,
    ),
]
TimeOption = Annotated[
    str | None,
    option("--time", help="What training may take, as 10m or 1h: what is not set is planned for it.", panel=TRAINING),
]
MaxTimeOption = Annotated[
    str | None,
    option("--max-time", help="Save and stop after this time, as 2h; --resume goes on.", panel=RUN),
]
ResumeOption = Annotated[bool, option("--resume", help="Continue the run that is there.", panel=RUN)]
ResumeOrStartOption = Annotated[
    bool, option("--resume-or-start", help="Continue the run that is there, else begin it.", panel=RUN)
]
CompareOption = Annotated[
    str | None,
    option(
        "--compare",
        help="Train the same without --init too, and say whether pretraining paid: scratch, scratch-total-time (also "
        "with the time of both), or none.",
        panel=RUN,
        autocompletion=values(COMPARISONS),
    ),
]
OverwriteOption = Annotated[bool, option("--overwrite", help="Replace what is there.", panel=RUN)]
DeviceOption = Annotated[str | None, option("--device", help="auto, cpu, mps, cuda or cuda:N.", panel=RUN)]
PrecisionOption = Annotated[str | None, option("--precision", help="auto, float32 or bf16.", panel=RUN)]
BaseOption = Annotated[
    Path | None,
    typer.Option("--base", help="Where the weights are that a run with --adapt started from, if not where they were."),
]
CheckpointOption = Annotated[str, typer.Option("--checkpoint", help="last or best (by validation).")]
JsonOption = Annotated[bool, option("--json", help="One JSON object on stdout.", panel=OUTPUT)]
QuietOption = Annotated[
    bool, option("--quiet", "-q", help="Say nothing but errors; with --json its object too.", panel=OUTPUT)
]
VerboseOption = Annotated[bool, option("--verbose", "-v", help="Also say where each setting came from.", panel=OUTPUT)]


@dataclass(frozen=True)
class Flag:
    """An option that makes a part of an `Ask`; not given, it says nothing."""

    key: str
    """The key of the spec that it sets; empty where it says where settings come from."""
    annotation: Any
    default: Any = None
    only: str = ""
    """The one verb that trains with it; empty: both do."""


def _flag(
    key: str, kind: type[Any], panel: str, help: str, only: str = "", complete: Callable[[str], list[str]] | None = None
) -> Flag:
    """Return a flag that has the name of its place in `FLAGS`."""
    return Flag(key, kind | None, typer.Option(None, help=help, rich_help_panel=panel, autocompletion=complete), only)


FLAGS = {
    "dataset": _flag(
        "dataset.name",
        str,
        DATA,
        "Data set plugin; default: any folder, --root.",
        complete=names("dataset"),
    ),
    "root": Flag("dataset.root", RootOption),
    "workers": Flag("data.workers", WorkersOption),
    "strict": _flag("data.strict", bool, DATA, "Stop at the first unreadable file."),
    "val_share": _flag("dataset.val_share", float, DATA, "Share of the samples that are val, where none is given."),
    "test_share": _flag("dataset.test_share", float, DATA, "Share of the samples that are test, where none is given."),
    "labels": Flag("data.labels", LabelsOption, only="finetune"),
    "folds": _flag(
        "data.folds",
        int,
        DATA,
        "Cross-validate: learn K times, each time without one part, and once from all.",
        "finetune",
    ),
    "task": Flag("task.name", TaskOption, only="finetune"),
    "model": _flag("model.name", str, MODEL, "Model plugin, such as vit-small.", complete=names("model")),
    "patch_size": _flag("model.patch_size", str, MODEL, "Pixels: 16, or 16x8 (height x width)."),
    "img_size": _flag("model.img_size", str, MODEL, "Pixels: 224, or 64x84 (height x width)."),
    "mask_ratio": _flag("task.mask_ratio", float, MODEL, "Share of the patches that is hidden.", only="pretrain"),
    "mask": _flag("task.mask", str, MODEL, "How they are chosen: random, grid or block.", only="pretrain"),
    "init": _flag(
        "init", Path, MODEL, "Start from this encoder: a run, checkpoint, weights (FILE#NAME), hf:OWNER/NAME."
    ),
    "init_partial": _flag("init_partial", bool, MODEL, "Let what --init lacks start anew."),
    "fold_pretrain": _flag(
        "fold_pretrain", bool, MODEL, "Pretrain anew for each of --folds, without its part.", only="finetune"
    ),
    "freeze": _flag("train.freeze", bool, MODEL, "Train the head alone.", only="finetune"),
    "freeze_blocks": _flag(
        "train.freeze_blocks",
        int,
        MODEL,
        "Keep the first N blocks of the encoder; train what follows.",
        only="finetune",
    ),
    "adapt": _flag(
        "adapt.name", str, MODEL, "Train adapters in an encoder that stays as it is: lora.", only="finetune"
    ),
    "head": _flag("task.head", str, MODEL, "Kind of head, such as linear or mlp.", only="finetune"),
    "extend": _flag("extend", Path, TRAINING, "Train this finished run longer, in a new directory, to more --epochs."),
    "epochs": _flag("train.epochs", int, TRAINING, "Passes over the training data."),
    "batch_size": _flag("train.batch_size", int, TRAINING, "Samples per optimizer step."),
    "micro_batch_size": _flag(
        "train.micro_batch_size", str, TRAINING, "Samples per forward pass, or auto: what fits into memory."
    ),
    "base_lr": _flag("train.base_lr", float, TRAINING, "Learning rate per 256 samples of a batch."),
    "patience": _flag("train.patience", int, TRAINING, "Stop after N validations without a better metric."),
    "seed": _flag("seed", int, TRAINING, "Seed of all randomness."),
    "device": Flag("device", DeviceOption),
    "precision": Flag("precision", PrecisionOption),
    "out": _flag("out", Path, RUN, "Run directory; default: runs/VERB-DATA[-TASK], a new one."),
    "recipe": _flag("", str, RUN, "Start from a shipped recipe.", complete=names("recipe")),
    "config": _flag("", Path, RUN, "Spec or recipe file (YAML), such as a run's spec.yaml."),
    "sets": Flag("", SetOption),
    "resume": Flag("", ResumeOption, False),
    "resume_or_start": Flag("", ResumeOrStartOption, False),
    "compare": Flag("", CompareOption, only="finetune"),
}


def asks(
    verb: str, *names: str, like: Callable[..., None] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hand a verb, beside options of its own, the `Ask` that its flags make.

    Its flags are those of `names`, else all that serve it; its own options may be those of another function, `like`.
    A user's error in it is one message, and so is one in a flag.
    """
    flags = {name: flag for name, flag in FLAGS.items() if (name in names if names else flag.only in ("", verb))}

    def declare(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(like or command, eval_str=True).parameters.values()

        @functools.wraps(command)
        def run(**options: Any) -> None:
            command(_ask(verb, flags, options), **{parameter.name: options[parameter.name] for parameter in own})

        keyword = inspect.Parameter.KEYWORD_ONLY
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                *(inspect.Parameter(n, keyword, annotation=f.annotation, default=f.default) for n, f in flags.items()),
                *(parameter.replace(kind=keyword) for parameter in own),
            ]
        )
        return tells_errors(run)

    return declare


def _ask(verb: str, flags: Mapping[str, Flag], options: Mapping[str, Any]) -> Ask:
    """Return what the options of a verb ask for; a key that only another verb trains with begins with that verb."""
    settings, sources = {}, {}
    for name, flag in flags.items():
        if options[name] is None:
            continue
        if not flag.key:
            sources[name] = options[name]
        else:
            key = flag.key if flag.only in ("", verb) else f"{flag.only}.{flag.key}"
            settings[key] = _value(name, options[name])
    return Ask(verb, flags=settings, **sources)


def _value(name: str, value: Any) -> Any:
    """Return the value of a flag as a spec has it."""
    if name in ("patch_size", "img_size"):
        return _size(value, name.replace("_", "-"))
    if name == "micro_batch_size":
        return _micro_batch(value)
    return str(value) if isinstance(value, Path) else value


def _micro_batch(text: str) -> int | str:
    """Return samples from `16`, or the word `auto`."""
    from maecli.schema import AUTO  # pydantic takes a third of the time of --help

    if text.strip() == AUTO:
        return AUTO
    try:
        return int(text)
    except ValueError as error:
        raise SpecError(f"--micro-batch-size {brief(text)} is no number; write 16, or {AUTO}") from error


def _size(text: str, name: str) -> int | list[int]:
    """Return pixels from `224` or `64x84`."""
    wrong = SpecError(f"--{name} {brief(text)} is no size; write 224, or 64x84 for height x width")
    try:
        sizes = [int(part) for part in text.lower().split("x")]
    except ValueError as error:
        raise wrong from error
    if len(sizes) > 3 or not all(0 < size <= MAX_SIDE for size in sizes):
        raise wrong
    return sizes[0] if len(sizes) == 1 else sizes
