"""The command line: parse, hand over, print. Imports neither torch nor any plugin before a verb runs."""

# Each adds its verbs, in the order of --help.
from maecli.cli import train, sweep, eda, evaluate, infer, embed, inspect, runs, results, listing, plugins, plugins_new  # noqa: F401, I001
from maecli.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    app()
