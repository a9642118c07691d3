"""`mae pretrain`, `mae finetune`, `mae demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maecli.cli.application import app, print_json, stderr_console, user_errors
from maecli.cli.help_options import HELP_OPTIONS, show_chosen_options
from maecli.cli.options import (
    OF_FINETUNE,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    QuietOption,
    VerifyDataOption,
    asked_for,
    run_options,
)
from maecli.cli.show import show_dry_run, show_evaluation, show_training
from maecli.terminal import answer

OF_TRAINING: dict[str, tuple[Any, Any]] = {"verify_data": (VerifyDataOption, False)}
"""What only the verbs that train know, as (annotation, default)."""


def _train(verb: str, given: dict[str, Any]) -> None:
    with user_errors(given["as_json"]):
        if given["help_options"]:
            show_chosen_options(verb, given)
            return
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.runs.dry_run import dry_run
        from maecli.runs.request import request
        from maecli.runs.training import train

        progress = train_progress(stderr_console(given["quiet"]))
        resolved = request(verb, registry(), **asked_for(given), resume=given["resume"])
        if given["verbose"]:
            for key, source in sorted(resolved.sources.items()):
                progress.say(f"{key}: from {source}")
        if given["dry_run"]:
            show_dry_run(dry_run(resolved.spec, registry(), progress), given["as_json"])
            return
        how = {name: given[name] for name in ("resume", "overwrite", "verify_data")}
        result = train(resolved.spec, registry(), progress, **how)
        show_training(result, given["as_json"])


@app.command()
@run_options("task", *OF_FINETUNE, more=HELP_OPTIONS | OF_TRAINING)
def pretrain(**given: Any) -> None:
    """Pretrain a masked autoencoder on unlabelled data."""
    _train("pretrain", given)


@app.command()
@run_options("mask_ratio", "mask", more=HELP_OPTIONS | OF_TRAINING)
def finetune(**given: Any) -> None:
    """Fine-tune a pretrained encoder (or one from scratch) for a task."""
    _train("finetune", given)


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

        result = run_demo(
            registry(), train_progress(stderr_console(quiet)), out=out, overwrite=overwrite, device=device
        )
        if as_json:
            print_json({"report": str(result.report), **result.evaluation.as_json()})
            return
        show_evaluation(result.evaluation)
        answer(
            "",
            f"open {result.report}: reconstructions, curves and the confusion matrix",
            "",
            "next, on your own pictures:",
        )
        for command, does in result.next_commands:
            answer(f"  {command}", f"      {does}")
