"""The options of the verbs, each declared once, with the key of the spec that it sets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maecli.errors import SpecError
from maecli.text import brief

if TYPE_CHECKING:
    from maecli.spec.resolve import Asked

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
VerifyDataOption = Annotated[
    bool,
    option("--verify-data", help="Record the contents of all data files; with --resume, compare them all.", panel=DATA),
]
TaskOption = Annotated[str | None, option("--task", help="Task plugin, such as classify.", panel=MODEL)]
OverwriteOption = Annotated[bool, option("--overwrite", help="Replace what is there.", panel=RUN)]
DeviceOption = Annotated[str | None, option("--device", help="auto, cpu, mps, cuda or cuda:N.", panel=RUN)]
PrecisionOption = Annotated[str | None, option("--precision", help="auto, float32 or bf16.", panel=RUN)]
CheckpointOption = Annotated[str, typer.Option("--checkpoint", help="last or best (by validation).")]
JsonOption = Annotated[bool, option("--json", help="One JSON object on stdout.", panel=OUTPUT)]
QuietOption = Annotated[bool, option("--quiet", "-q", help="Errors only.", panel=OUTPUT)]


@dataclass(frozen=True)
class Flag:
    """A flag that sets one key of the spec; not given, the key keeps what the layers below say."""

    key: str
    annotation: Any


SPEC_FLAGS = {
    "dataset": Flag(
        "dataset.name",
        Annotated[str | None, option("--dataset", help="Data set plugin, see mae plugins.", panel=DATA)],
    ),
    "root": Flag("dataset.root", RootOption),
    "workers": Flag("data.workers", WorkersOption),
    "strict": Flag(
        "data.strict",
        Annotated[bool | None, option("--strict/--no-strict", help="Stop at the first unreadable file.", panel=DATA)],
    ),
    "labels": Flag("data.labels", LabelsOption),
    "task": Flag("task.name", TaskOption),
    "model": Flag(
        "model.name", Annotated[str | None, option("--model", help="Model plugin, such as vit-small.", panel=MODEL)]
    ),
    "patch_size": Flag(
        "model.patch_size",
        Annotated[str | None, option("--patch-size", help="Pixels: 16, or 16x8 (height x width).", panel=MODEL)],
    ),
    "img_size": Flag(
        "model.img_size",
        Annotated[str | None, option("--img-size", help="Pixels: 224, or 64x84 (height x width).", panel=MODEL)],
    ),
    "mask_ratio": Flag(
        "task.mask_ratio",
        Annotated[float | None, option("--mask-ratio", help="Share of the patches that is hidden.", panel=MODEL)],
    ),
    "mask": Flag(
        "task.mask",
        Annotated[str | None, option("--mask", help="How they are chosen: random, grid or block.", panel=MODEL)],
    ),
    "init": Flag(
        "init",
        Annotated[
            Path | None,
            option("--init", help="Start from this encoder: a run, checkpoint or file of weights.", panel=MODEL),
        ],
    ),
    "init_partial": Flag(
        "init_partial",
        Annotated[
            bool | None,
            option("--init-partial/--no-init-partial", help="Let what --init lacks start anew.", panel=MODEL),
        ],
    ),
    "freeze": Flag(
        "train.freeze",
        Annotated[bool | None, option("--freeze/--no-freeze", help="Train the head alone.", panel=MODEL)],
    ),
    "head": Flag(
        "task.head", Annotated[str | None, option("--head", help="Kind of head, such as linear or mlp.", panel=MODEL)]
    ),
    "epochs": Flag(
        "train.epochs",
        Annotated[int | None, option("--epochs", help="Passes over the training data.", panel=TRAINING)],
    ),
    "batch_size": Flag(
        "train.batch_size",
        Annotated[int | None, option("--batch-size", help="Samples per optimizer step.", panel=TRAINING)],
    ),
    "micro_batch_size": Flag(
        "train.micro_batch_size",
        Annotated[int | None, option("--micro-batch-size", help="Samples per forward pass.", panel=TRAINING)],
    ),
    "base_lr": Flag(
        "train.base_lr",
        Annotated[float | None, option("--base-lr", help="Learning rate per 256 samples of a batch.", panel=TRAINING)],
    ),
    "seed": Flag("seed", Annotated[int | None, option("--seed", help="Seed of all randomness.", panel=TRAINING)]),
    "device": Flag("device", DeviceOption),
    "precision": Flag("precision", PrecisionOption),
    "out": Flag(
        "out",
        Annotated[Path | None, option("--out", help="Run directory; default: runs/VERB-DATASET[-TASK].", panel=RUN)],
    ),
}

RUN_OPTIONS: dict[str, tuple[Any, Any]] = {
    "recipe": (Annotated[str | None, option("--recipe", help="Start from a shipped recipe.", panel=RUN)], None),
    "config": (
        Annotated[
            Path | None, option("--config", help="Spec or recipe file (YAML), such as a run's spec.yaml.", panel=RUN)
        ],
        None,
    ),
    "sets": (
        Annotated[
            list[str] | None,
            option("--set", help="Set any key: --set train.ema_decay=0.999.", panel=RUN, metavar="A.B=C"),
        ],
        None,
    ),
    "resume": (Annotated[bool, option("--resume", help="Continue the run that is there.", panel=RUN)], False),
    "overwrite": (OverwriteOption, False),
    "dry_run": (
        Annotated[bool, option("--dry-run", help="Resolve, build, time a few steps, write nothing.", panel=RUN)],
        False,
    ),
    "as_json": (JsonOption, False),
    "quiet": (QuietOption, False),
    "verbose": (
        Annotated[bool, option("--verbose", "-v", help="Also say where each setting came from.", panel=OUTPUT)],
        False,
    ),
}
"""Options that say how to run, as (annotation, default)."""


OF_FINETUNE = ("labels", "freeze", "head")
"""What only learning from labels knows."""

NOT_OF_EDA = (
    *("workers", "strict", "model", "patch_size", "mask_ratio", "mask", "init", "init_partial", "epochs"),
    *("batch_size", "micro_batch_size", "base_lr", "device", "precision", "resume", "dry_run", *OF_FINETUNE),
)
"""What says nothing about the data or how a model would see them."""


def run_options(
    *without: str, more: Mapping[str, tuple[Any, Any]] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb that takes `**given` every flag of the spec and every option of a run, except those named.

    `more` are options of its own, as (annotation, default).
    """

    def declare(verb: Callable[..., None]) -> Callable[..., None]:
        flags = {name: (flag.annotation, None) for name, flag in SPEC_FLAGS.items()}
        verb.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
                for name, (annotation, default) in (flags | RUN_OPTIONS | dict(more or {})).items()
                if name not in without
            ]
        )
        return verb

    return declare


def asked_for(given: dict[str, Any]) -> Asked:
    """Return what the options of a verb ask for, as it is resolved."""
    sets, flags = given["sets"] or (), spec_settings(given)
    return {"recipe": given["recipe"], "config": given["config"], "sets": sets, "flags": flags}


def spec_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return the dotted keys of the spec that the given flags set, None where a flag was not given."""
    settings = {flag.key: given[name] for name, flag in SPEC_FLAGS.items() if name in given}
    for name in ("patch_size", "img_size"):
        settings[f"model.{name}"] = _size(given.get(name), name.replace("_", "-"))
    return {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}


def _size(text: str | None, name: str) -> int | list[int] | None:
    """Return pixels from `224` or `64x84`."""
    if text is None:
        return None
    wrong = SpecError(f"--{name} {brief(text)} is no size; write 224, or 64x84 for height x width")
    try:
        sizes = [int(part) for part in text.lower().split("x")]
    except ValueError as error:
        raise wrong from error
    if len(sizes) > 3 or not all(0 < size <= MAX_SIDE for size in sizes):
        raise wrong
    return sizes[0] if len(sizes) == 1 else sizes
