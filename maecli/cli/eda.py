"""`mae eda`."""

from __future__ import annotations

from typing import Annotated

import typer

from maecli.cli.application import app, print_json, stderr_progress
from maecli.cli.ask.options import DATA, JsonOption, OverwriteOption, QuietOption, VerboseOption, asks, option
from maecli.cli.show.answers import show_next
from maecli.spec.ask import Ask
from maecli.terminal import answer, tell
from maecli.text import number_of


@app.command(epilog="Example: mae eda --root pictures")
@asks("eda", "dataset", "root", "task", "img_size", "seed", "out", "recipe", "config", "sets")
def eda(
    ask: Ask,
    samples: Annotated[
        int | None, option("--samples", min=1, help="Look at so many of more samples, drawn by chance.", panel=DATA)
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show what is in a data set: sizes, classes, masks, copies, broken files, and what to make of it."""
    from maecli.registry import registry
    from maecli.verbs.eda import eda as run_eda
    from maecli.verbs.eda import resolve_eda
    from maecli.verbs.train import settings_of

    progress = stderr_progress(quiet)
    specs = resolve_eda(ask, registry())
    if verbose:
        for verb, spec in specs.items():
            for key, value, source in settings_of(spec):
                progress.say(f"{verb}: {key}: {value} ({source})")
    result = run_eda(specs, registry(), progress, overwrite=overwrite, samples=samples)
    faults = result.findings.faults
    if as_json:
        print_json({"report": str(result.report), **result.findings.model_dump(mode="json")})
    else:
        for sentence in result.findings.advice:
            answer(f"- {sentence}")
        answer("", f"open {result.report}")
        show_next(result.next_commands)
    if faults:
        number = number_of(len(faults), "fault") + (", the first of them" if len(faults) > 1 else "")
        tell(f"{number}: {faults[0]}; the page lists what breaks a rule")
        raise typer.Exit(3)
