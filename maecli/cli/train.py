"""`mae pretrain` and `mae finetune`."""

from __future__ import annotations

from typing import Annotated, Any

from maecli.cli.application import app, stderr_progress
from maecli.cli.ask.devices import DevicesOption
from maecli.cli.ask.options import (
    DATA,
    OUTPUT,
    RUN,
    JsonOption,
    MaxTimeOption,
    OverwriteOption,
    QuietOption,
    TimeOption,
    VerboseOption,
    asks,
    option,
)
from maecli.cli.show.answers import show_chosen_options, show_dry_run, show_training
from maecli.spec.ask import Ask

VerifyDataOption = Annotated[
    bool,
    option("--verify-data", help="Record the contents of all data files; with --resume, compare them all.", panel=DATA),
]
DryRunOption = Annotated[bool, option("--dry-run", help="Resolve, build, time a few steps, write nothing.", panel=RUN)]
HelpOptionsOption = Annotated[
    bool,
    option(
        "--help-options",
        help="List the options of the data set, task and model that the other flags choose, and run nothing.",
        panel=OUTPUT,
    ),
]


def train(
    ask: Ask,
    time: TimeOption = None,
    max_time: MaxTimeOption = None,
    overwrite: OverwriteOption = False,
    verify_data: VerifyDataOption = False,
    dry_run: DryRunOption = False,
    help_options: HelpOptionsOption = False,
    devices: DevicesOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Hand an ask over, and print what came out."""
    from maecli.plan.budget import parse_time
    from maecli.registry import registry
    from maecli.verbs import train as verbs

    progress = stderr_progress(quiet)
    time_s = parse_time(time) if time is not None else None
    max_time_s = parse_time(max_time, "--max-time") if max_time is not None else None
    if help_options:
        show_chosen_options(verbs.chosen_options(ask, registry()), as_json)
    elif dry_run:
        show_dry_run(*verbs.dry_run(ask, registry(), progress, verbose=verbose, time_s=time_s), as_json)
    else:
        result = verbs.train(
            ask,
            registry(),
            progress,
            overwrite=overwrite,
            verify_data=verify_data,
            verbose=verbose,
            time_s=time_s,
            max_time_s=max_time_s,
        )
        show_training(result, as_json)


@app.command(
    epilog="With few pictures, go on from public weights. Example: mae pretrain --init hf:facebook/vit-mae-base --root "
    "pictures --recipe continue"
)
@asks("pretrain", like=train)
def pretrain(ask: Ask, **options: Any) -> None:
    """Pretrain a masked autoencoder on unlabelled data, from nothing or on from --init."""
    train(ask, **options)


@app.command(
    epilog="Without a run of yours, start from public weights: --init hf:facebook/vit-mae-base. Example: mae finetune "
    "--root labels --task classify --init runs/pretrain-all"
)
@asks("finetune", like=train)
def finetune(ask: Ask, **options: Any) -> None:
    """Fine-tune a pretrained encoder (or one from scratch) for a task."""
    train(ask, **options)
