"""The hooks of a plugin: this screen is the whole extension surface.

A plugin is a module that implements some of these functions with `@api.hookimpl`. Its package names what it adds in
`pyproject.toml`, one entry point per thing, as kind and name:

    [project.entry-points.mae]
    "dataset.whatever" = "mae_whatever"
    "task.denoise" = "mae_whatever"

Listing plugins reads these names and imports nothing; the module is imported when one of its things is used.
A recipe needs no hook: `"recipe.whatever" = "mae_whatever.recipes"` names a package that holds `whatever.yaml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from maecli.data.dataset import Dataset
    from maecli.models.plugin import Model
    from maecli.training.task import Task
    from maecli.training.tracker import Tracker

hookspec = pluggy.HookspecMarker("mae")
hookimpl = pluggy.HookimplMarker("mae")


@hookspec
def mae_datasets() -> list[type[Dataset]]:  # type: ignore[empty-body]
    """Return the data-set classes that this plugin adds.

    Called when an entry point of the plugin is first used, never for `--help`. Since 0.1.
    The lists of all loaded plugins are joined.
    """


@hookspec
def mae_tasks() -> list[type[Task[Any]]]:  # type: ignore[empty-body]
    """Return the task classes that this plugin adds. Called and joined like `mae_datasets`. Since 0.1."""


@hookspec
def mae_models() -> list[type[Model]]:  # type: ignore[empty-body]
    """Return the model classes (encoders) that this plugin adds. Called and joined likewise. Since 0.1."""


@hookspec
def mae_trackers() -> list[type[Tracker]]:  # type: ignore[empty-body]
    """Return the tracker classes (where metrics go) that this plugin adds. Called and joined likewise. Since 0.1."""
