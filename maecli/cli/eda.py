"""`mae eda`."""

from __future__ import annotations

from typing import Any

import typer

from maecli.cli.application import app, print_json, stderr_console, user_errors
from maecli.cli.options import NOT_OF_EDA, asked_for, run_options
from maecli.terminal import answer, tell


@app.command()
@run_options(*NOT_OF_EDA)
def eda(**given: Any) -> None:
    """Show what is in a data set: sizes, classes, masks, copies, broken files, and what to make of it."""
    with user_errors(given["as_json"]):
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.verbs.eda import eda as run_eda
        from maecli.verbs.eda import resolve_eda

        progress = train_progress(stderr_console(given["quiet"]))
        resolved = resolve_eda(registry(), **asked_for(given))
        if given["verbose"]:
            for verb, each in resolved.items():
                for key, source in sorted(each.sources.items()):
                    progress.say(f"{verb}: {key}: from {source}")
        specs = {verb: each.spec for verb, each in resolved.items()}
        result = run_eda(specs, registry(), progress, overwrite=given["overwrite"])
        faults = result.findings.faults
        if given["as_json"]:
            print_json({"report": str(result.report), **result.findings.model_dump(mode="json")})
        else:
            for sentence in result.findings.advice:
                answer(f"- {sentence}")
            answer("", f"open {result.report}")
        if faults:
            number = "1 fault" if len(faults) == 1 else f"{len(faults):,} faults, the first of them"
            tell(f"{number}: {faults[0]}; the page lists what breaks a rule")
            raise typer.Exit(3)
