"""`mae plugins`: what is installed, whether it works, switching it off and on, and beginning with a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maecli.cli.application import app, print_json, tells_errors, user_errors
from maecli.cli.ask.options import JsonOption, RootOption
from maecli.cli.show.answers import EMPTY, options_table, show_facts, show_next, text_table
from maecli.errors import PluginError, SpecError
from maecli.terminal import PlainConsole, answer, tell
from maecli.text import number_of, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maecli.registry import Listing
    from maecli.verbs.plugins import About

plugins_app = typer.Typer(
    help="List, show, check, switch off and make plugins.", epilog="Example: mae plugins", invoke_without_command=True
)
app.add_typer(plugins_app, name="plugins")

QuickOption = Annotated[
    bool, typer.Option("--quick", help="Import nothing: broken code of other packages is not found out.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="KIND.NAME, or a name that only one kind has.")]
SwitchArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A package, KIND.NAME, or a name of a plugin that only one kind has.")
]


@plugins_app.callback()
def plugins(context: typer.Context, quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """List data sets, tasks, models, trackers and recipes; without a command, what `list` does."""
    command = context.invoked_subcommand
    if command is None:
        list_plugins(quick=quick, as_json=as_json)
    elif quick or as_json:
        with user_errors(as_json):
            way = "list --quick" if quick else f"{command} --json"
            raise SpecError(f"options of {command} stand behind it, not before it; write mae plugins {way}")


@plugins_app.command("list", epilog="Example: mae plugins list --quick")
@tells_errors
def list_plugins(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """List what is installed: kind, name, package, version, and whether it works, which importing it shows."""
    from maecli.registry import Registry

    registry = Registry()
    for line in registry.not_installed:
        tell(line)
    listings = registry.listings if quick else registry.checked()
    if as_json:
        print_json({"plugins": [vars(listing) for listing in listings]})
    else:
        show_listings(listings)


def show_listings(listings: Sequence[Listing]) -> None:
    """Print a row for each, and below it a line for each that cannot be used."""
    rows = ((listing.kind, listing.name, listing.package, listing.version, listing.status) for listing in listings)
    console = PlainConsole()
    console.print(text_table(("kind", "name", "package", "version", "status"), rows))
    for number, line in enumerate(listing.line for listing in listings if listing.reason):
        console.print(("" if number else "\n") + one_line(line), soft_wrap=True)
    if listings:
        show_next(
            [(f"mae plugins show {one_line(listings[0].key)}", "say what a plugin is, its options and how to use it")]
        )


@plugins_app.command(epilog="Example: mae plugins show task.classify")
@tells_errors
def show(name: NameArgument, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Say what a plugin is: its own words, its options, a data set's card if the data are there, how to use it."""
    from maecli.registry import Registry
    from maecli.verbs.plugins import describe_plugin

    plugin = describe_plugin(name, Registry(), root)
    if as_json:
        print_json(plugin.as_json())
    else:
        show_plugin(plugin)


def show_plugin(plugin: About) -> None:
    """Print a plugin in full."""
    console = PlainConsole()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    listing = plugin.listing
    say(f"{listing.kind} {listing.name}, of {listing.package} {listing.version} ({listing.module})")
    for key, value in plugin.facts.items():
        say(f"{key}: {value}")
    if plugin.about:
        say(f"\n{plugin.about}")
    if plugin.options:
        say("")
        console.print(options_table(plugin.options))
    if plugin.card is not None:
        say("\ndata card")
        known = ((key, value) for key, value in plugin.card.items() if value not in EMPTY)
        show_facts(known)
    elif plugin.no_card:
        say(f"\nno data card: {plugin.no_card}")
    show_next([(plugin.command, "use it")])


@plugins_app.command(epilog="Example: mae plugins check model.vit-lite")
@tells_errors
def check(
    name: NameArgument,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Data set to try a task on, instead of pictures made for it.")
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try whether a plugin keeps the promises that mae relies on; exits 4 where it does not."""
    from maecli.registry import Registry
    from maecli.verbs.plugins import check_plugin

    listing, findings = check_plugin(name, Registry(), dataset, root)
    broken = [finding for finding in findings if finding.problem is not None]
    if as_json:
        print_json({"kind": listing.kind, "name": listing.name, "findings": [vars(each) for each in findings]})
    else:
        for finding in findings:
            text = finding.problem or finding.advice or finding.note
            answer(f"{finding.status:7}  {finding.check}", *([f"         {text}"] if text else []))
    if broken:
        tell(f"{listing.kind} {listing.name!r} fails {len(broken)} of {number_of(len(findings), 'check')}")
        raise typer.Exit(PluginError.exit_code)
    if not as_json:
        show_next([(f"mae plugins show {listing.key}", "say how it is used")])


@plugins_app.command(epilog="Example: mae plugins disable dataset.digits")
@tells_errors
def disable(name: SwitchArgument, as_json: JsonOption = False) -> None:
    """Leave out a package, or one plugin of it, from now on, without uninstalling it."""
    from maecli.registry import Registry
    from maecli.verbs import plugins as verbs

    key, file = verbs.disable(name, Registry())
    if as_json:
        print_json({"disabled": key, "file": str(file)})
    else:
        answer(f"{key} is disabled ({file}); `mae plugins enable {key}` brings it back")


@plugins_app.command(epilog="Example: mae plugins enable dataset.digits")
@tells_errors
def enable(name: SwitchArgument, as_json: JsonOption = False) -> None:
    """Use again what was disabled."""
    from maecli.verbs import plugins as verbs

    key, file = verbs.enable(name)
    if as_json:
        print_json({"enabled": key, "file": str(file)})
    else:
        answer(f"{key} is enabled")
        show_next([(f"mae plugins show {key}" if "." in key else "mae plugins", "see that it works")])


@plugins_app.command(epilog="Example: mae plugins new mae-birds --dataset birds")
@tells_errors
def new(
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="Name of the package, such as mae-whatever.")],
    dataset: Annotated[str | None, typer.Option("--dataset", help="Name of the data set that it adds.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="Name of the task that it adds.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Name of the model that it adds.")] = None,
    tracker: Annotated[str | None, typer.Option("--tracker", help="Name of the tracker that it adds.")] = None,
    export: Annotated[str | None, typer.Option("--export", help="Name of the export format that it adds.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Empty or new folder; default: ./PACKAGE.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a package with a small example that installs, passes its own tests and runs at once."""
    from maecli.registry import Registry
    from maecli.scaffold import plan_package, write_package

    adds = {"dataset": dataset, "task": task, "model": model, "tracker": tracker, "export": export}
    plan = plan_package(package, adds, Registry())
    folder = (out or Path(package)).expanduser()
    files = write_package(plan, folder)
    if as_json:
        names = [file.relative_to(folder).as_posix() for file in files]
        print_json({"package": package, "out": str(folder), "files": names})
        return
    steps = (f"  {step}" for step in plan.first_steps(folder))
    answer(f"{folder}: {number_of(len(files), 'file')}", "", "next:", *steps)
