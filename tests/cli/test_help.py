"""Every --help names its options in full, and ends with an example, whose words its command understands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
import typer.main
from typer.core import TyperGroup

from maecli.cli import app
from maecli.registry import Registry


def commands(command, *path: str) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield a command and those below it, each with the words that call it."""
    yield path, command
    for name, below in command.commands.items() if isinstance(command, TyperGroup) else ():
        yield from commands(below, *path, name)


ROOT = typer.main.get_command(app)
COMMANDS = dict(commands(ROOT))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_ends_with_an_example_that_is_understood(path, mae, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    *_, example = mae(*path, "--help").stdout.rpartition(" Example: ")
    name, *words = shlex.split(example)  # it may take two lines
    assert (name, tuple(words[: len(path)])) == ("mae", path)
    if path and not isinstance(COMMANDS[path], TyperGroup):
        COMMANDS[path].make_context(path[-1], words[len(path) :])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_name_of_an_option_is_cut_at_80_columns(path, mae, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = mae(*path, "--help").stdout
    cut = [
        name
        for param in COMMANDS[path].params
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("-") and not param.hidden and name not in shown
    ]
    assert not cut
    assert "…" not in shown


def test_formats_are_named_by_the_registry_when_help_is_shown(mae, monkeypatch):
    """A package may add one, and `--help` imports no plugin."""
    monkeypatch.setattr(Registry, "names", lambda self, kind: ["one", kind])
    assert "Export plugin (one, export); default: " in " ".join(mae("export", "--help").stdout.replace("│", "").split())
    told = next(param.help for param in COMMANDS["export",].params if "--format" in param.opts)
    assert "see mae plugins" in told  # what a shell shows beside it
