"""`--help-options`: what can be set of the data set, task and model that a command line chooses."""

from __future__ import annotations

from typing import Annotated, Any

from maecli.cli.application import print_json
from maecli.cli.options import OUTPUT, asked_for, option
from maecli.cli.plugins import options_table
from maecli.terminal import PlainConsole

HELP_OPTIONS: dict[str, tuple[Any, Any]] = {
    "help_options": (
        Annotated[
            bool,
            option(
                "--help-options",
                help="List the options of the data set, task and model that the other flags choose, and run nothing.",
                panel=OUTPUT,
            ),
        ],
        False,
    )
}


def show_chosen_options(verb: str, given: dict[str, Any]) -> None:
    """Print the options of each chosen plugin, and what recipes, files and flags make of them."""
    from maecli.registry import registry
    from maecli.verbs.chosen_options import chosen_options

    found = chosen_options(verb, registry(), **asked_for(given))
    if given["as_json"]:
        print_json({"plugins": [each.as_json() for each in found]})
        return
    console = PlainConsole()
    for each in found:
        console.print(f"\n{each.heading}", soft_wrap=True)
        if each.options:
            console.print(options_table(each.options, each.here))
