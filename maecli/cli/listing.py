"""`mae recipes`, `mae schema`: what is shipped to be run, and what a spec may say."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from maecli.cli.app import app, print_json, tell, user_errors
from maecli.cli.options import JsonOption
from maecli.errors import SpecError


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the recipes that are installed, or print one; `--recipe NAME` runs it."""
    with user_errors(as_json):
        from maecli.registry import registry
        from maecli.runs.recipes import describe, list_recipes

        if name is not None:
            text = registry().recipe(name)
            if as_json:
                print_json(vars(describe(name, registry())) | {"text": text})
            else:
                print(text, end="")
            return
        found = list_recipes(registry(), tell)
        if as_json:
            print_json({"recipes": [vars(each) for each in found]})
            return
        console = Console(highlight=False)
        for each in found:
            facts = f" ({', '.join(each.sections)}{f'; {each.cost}' if each.cost else ''})"
            console.print(Text.assemble((each.name, "bold"), facts))
            console.print(textwrap.indent(textwrap.fill(each.about, console.width - 4), " " * 4), markup=False)


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
