"""`mae recipes`."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer
from rich.text import Text

from maecli.cli.application import app, print_json, tells_errors
from maecli.cli.ask.complete import names
from maecli.cli.ask.options import JsonOption
from maecli.cli.show.answers import show_next
from maecli.terminal import PlainConsole, tell
from maecli.text import one_line, printable


@app.command(epilog="Example: mae recipes digits")
@tells_errors
def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe.", autocompletion=names("recipe"))] = None,
    as_json: JsonOption = False,
) -> None:
    """List the recipes that are installed, or print one; `--recipe NAME` runs it."""
    from maecli.registry import registry
    from maecli.verbs.recipes import describe, list_recipes

    if name is not None:
        text = registry().recipe(name)
        if as_json:
            print_json(vars(describe(name, registry())) | {"text": text})
        else:
            print(printable(text), end="")
        return
    listed = list_recipes(registry(), tell)
    if as_json:
        print_json({"recipes": [vars(recipe) for recipe in listed]})
        return
    console = PlainConsole()
    for recipe in listed:
        facts = f" ({', '.join(recipe.sections)}{f'; {recipe.cost}' if recipe.cost else ''})"
        console.print(Text.assemble((one_line(recipe.name), "bold"), facts))
        console.print(textwrap.indent(textwrap.fill(recipe.about, console.width - 4), " " * 4))
    if listed:
        show_next(
            [
                (f"mae recipes {one_line(listed[0].name)}", "print one"),
                (f"{listed[0].command} --dry-run", "see what it would take, here"),
            ]
        )
