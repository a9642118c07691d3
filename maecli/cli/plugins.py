"""`mae plugins`: what is installed, whether it works, and switching it off and on. Works whatever is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as RichTable

from maecli.cli.application import app, print_json, user_errors
from maecli.cli.options import JsonOption, RootOption
from maecli.errors import PluginError, SpecError, nearest
from maecli.terminal import PlainConsole, answer, tell
from maecli.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maecli.registry import Listing
    from maecli.registry.describe import Option
    from maecli.verbs.plugins import About

plugins_app = typer.Typer(help="List, show, check, switch off and make plugins.", invoke_without_command=True)
app.add_typer(plugins_app, name="plugins")

QuickOption = Annotated[
    bool, typer.Option("--quick", help="Import nothing: broken code of other packages is not found out.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="KIND.NAME, or a name that only one kind has.")]
SwitchArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A package, KIND.NAME, PACKAGE:KIND.NAME, or a name of a plugin that only one kind has."
    ),
]


@plugins_app.callback()
def plugins(context: typer.Context, quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """List data sets, tasks, models, trackers and recipes; without a command, what `list` does."""
    command = context.invoked_subcommand
    if command is None:
        list_plugins(quick, as_json)
    elif quick or as_json:
        with user_errors(as_json):
            way = "list --quick" if quick else f"{command} --json"
            raise SpecError(f"options of {command} stand behind it, not before it; write mae plugins {way}")


@plugins_app.command("list")
def list_plugins(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """List what is installed: kind, name, package, version, and whether it works.

    Modules of other packages are imported to find out, in a process of their own: none can take this one with it.
    """
    with user_errors(as_json):
        from maecli.registry import Registry
        from maecli.registry.switches import Switches
        from maecli.registry.trial import try_apart

        found = Registry(switches=Switches.read(say=tell))
        for line in found.not_installed:
            tell(line)
        listings = found.listings if quick else try_apart(found.listings)
        if as_json:
            print_json({"plugins": [vars(each) for each in listings]})
        else:
            show_listings(listings)
        bad = [each for each in listings if each.status in ("clash", "broken")]
        if bad and found.switches.strict:
            tell(f"{bad[0].line} (MAE_STRICT_PLUGINS is set)")
            raise typer.Exit(PluginError.exit_code)


def show_listings(listings: Sequence[Listing]) -> None:
    """Print a row for each, and below it a line for each that cannot be used."""
    table = RichTable(box=None, header_style="bold")
    for column in ("kind", "name", "package", "version", "status"):
        table.add_column(column, overflow="fold")
    for each in listings:
        table.add_row(*map(one_line, (each.kind, each.name, each.package, each.version, each.status)))
    console = PlainConsole()
    console.print(table)
    for number, line in enumerate(each.line for each in listings if each.reason):
        console.print(("" if number else "\n") + one_line(line), soft_wrap=True)


@plugins_app.command()
def show(name: NameArgument, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Say what a plugin is: its own words, its options, a data set's card if the data are there, how to use it."""
    with user_errors(as_json):
        from maecli.registry import Registry
        from maecli.verbs.plugins import describe_plugin

        found = describe_plugin(name, Registry(), root)
        if as_json:
            print_json(found.as_json())
        else:
            show_about(found)


def show_about(found: About) -> None:
    """Print a plugin in full."""
    console = PlainConsole()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    each = found.listing
    say(f"{each.kind} {each.name}, of {each.package} {each.version} ({each.module})")
    for key, value in found.facts.items():
        say(f"{key}: {value}")
    if found.about:
        say(f"\n{found.about}")
    if found.options:
        say("")
        console.print(options_table(found.options))
    if found.card is not None:
        say("\ndata card")
        table = RichTable(box=None, show_header=False, pad_edge=False)
        for key, value in found.card.items():
            if value not in (None, "", [], {}):
                table.add_row(one_line(key.replace("_", " ")), one_line(_words(value)))
        console.print(table)
    elif found.no_card:
        say(f"\nno data card: {found.no_card}")
    say(f"\n  {found.command}")


def options_table(options: Sequence[Option], given: dict[str, str] | None = None) -> RichTable:
    """Return options with types, defaults and descriptions; `given` says what settings make of some of them."""
    table = RichTable(box=None, header_style="bold", pad_edge=False)
    for column in ("option (--set KEY=VALUE)", "type", "default", *(["here"] if given else []), "what it does"):
        table.add_column(column, overflow="fold")
    for each in options:
        here = [(given or {}).get(each.key, "")] if given else []
        table.add_row(*map(one_line, (each.key, each.type, each.default, *here, each.description)))
    return table


def _words(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(_words(each) for each in value[:12])
        return f"{shown}, … ({len(value)})" if len(value) > 12 else shown
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@plugins_app.command()
def check(
    name: NameArgument,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Data set to try a task on, instead of pictures made for it.")
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try whether a plugin keeps the promises that mae relies on; exits 4 where it does not."""
    with user_errors(as_json):
        from maecli.registry import Registry
        from maecli.verbs.plugins import find_plugin

        found = Registry()
        kind, rest = find_plugin(name, found)
        found.listing(kind, rest)
        if dataset is not None and kind != "task":
            raise SpecError(f"--dataset is what a task is tried on, and {rest!r} is a {kind}; leave it out")
        if root is not None and kind != "dataset" and dataset is None:
            way = "; name one by --dataset" if kind == "task" else "; leave it out"
            raise SpecError(f"--root says where a data set's files are, and {rest!r} is a {kind}{way}")
        from maecli import testing

        given = {"root": str(root)} if root else None
        if dataset is None:
            findings = testing.check(kind, rest, given, found)
        else:
            findings = testing.check(kind, rest, None, found, {**(given or {}), "name": dataset})
        broken = [each for each in findings if each.problem is not None]
        if as_json:
            print_json({"kind": kind, "name": rest, "findings": [vars(each) for each in findings]})
        else:
            for each in findings:
                told = each.problem or each.note
                word = "broken" if each.problem else "skipped" if each.note else "ok"
                answer(f"{word:7}  {each.check}", *([f"         {told}"] if told else []))
        if broken:
            tell(f"{kind} {rest!r} breaks {len(broken)} of {len(findings)} promises")
            raise typer.Exit(PluginError.exit_code)


@plugins_app.command()
def disable(name: SwitchArgument, as_json: JsonOption = False) -> None:
    """Leave out a package, or one plugin of it, from now on, without uninstalling it."""
    with user_errors(as_json):
        from maecli.registry import OWN_PACKAGE, Registry
        from maecli.registry.switches import canonical, read_disabled, write_disabled

        key, registry = _key(name), Registry()
        theirs = [each for each in registry.listings if each.package != OWN_PACKAGE]
        own = {each.key for each in registry.listings if each.package == OWN_PACKAGE} | {OWN_PACKAGE}
        known = {form for each in theirs for form in _forms(canonical(each.package), each.key)}
        if key not in known | own and any(each.name == name for each in registry.listings):
            from maecli.verbs.plugins import find_plugin  # imports torch

            key = ".".join(find_plugin(name, registry))
        if key not in known:
            if key in own:
                raise SpecError(f"{key} is built in, and stays")
            raise SpecError(f"{name!r} is no installed package and no plugin of one{nearest(key, known)}")
        file = write_disabled([*read_disabled(), key])
        if as_json:
            print_json({"disabled": key, "file": str(file)})
        else:
            answer(f"{key} is disabled ({file}); `mae plugins enable {key}` brings it back")


@plugins_app.command()
def enable(name: SwitchArgument, as_json: JsonOption = False) -> None:
    """Use again what was disabled."""
    with user_errors(as_json):
        from maecli.registry.switches import read_disabled, write_disabled

        key, disabled = _key(name), read_disabled()
        if key not in disabled:
            things = [each for each in disabled if ":" not in each and each.partition(".")[2] == name]
            if len(things) > 1:
                raise SpecError(f"{name!r} is the name of several; write {' or '.join(things)}")
            if not things:
                others = ", ".join(disabled) or "nothing is"
                raise SpecError(f"{name!r} is not disabled{nearest(key, disabled)}; disabled: {others}")
            key = things[0]
        file = write_disabled(each for each in disabled if each != key)
        if as_json:
            print_json({"enabled": key, "file": str(file)})
        else:
            answer(f"{key} is enabled")


def _key(name: str) -> str:
    """Return a package's name as they are compared, the rest as it is."""
    from maecli.registry import KINDS
    from maecli.registry.switches import canonical

    package, colon, thing = name.partition(":")
    if not colon and package.partition(".")[0] in KINDS and "." in package:
        return name
    return canonical(package) + colon + thing


def _forms(package: str, key: str) -> tuple[str, str, str]:
    return package, key, f"{package}:{key}"
