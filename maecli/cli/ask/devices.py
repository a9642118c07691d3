"""`--devices`: the same command in several processes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from maecli.cli.application import user_errors
from maecli.cli.ask.options import RUN, option


def _launch(devices: str | None) -> None:
    """Run the command anew, in a process for each device, and leave with its exit code."""
    if devices is None:
        return
    from maecli.parallel.launch import launch

    with user_errors(as_json="--json" in sys.argv):
        raise typer.Exit(launch(devices, without_devices(sys.argv[1:])))


def without_devices(arguments: list[str]) -> list[str]:
    """Return what was typed but for `--devices`."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--devices":
            next(words, None)
        elif not word.startswith("--devices="):
            kept.append(word)
    return kept


DevicesOption = Annotated[
    str | None,
    option(
        "--devices",
        help="Share the work among processes: a number of them, all (GPUs), or cuda:0,cuda:1.",
        panel=RUN,
        callback=_launch,
        is_eager=True,
        expose_value=False,
    ),
]
