"""All verbs of the command line."""

# Each adds its verbs, in the order of --help.
from maecli.cli import train, sweep, eda, evaluate, infer, embed, inspect, runs, results, listing, plugins, plugins_new  # noqa: F401, I001
from maecli.cli.application import app

__all__ = ["app"]
