"""The hooks of a plugin: this screen is the whole extension surface.

A plugin is a module that implements some of these functions with `@api.hookimpl`. Its package names what it adds in
`pyproject.toml`, one entry point per thing, as kind and name:

    [project.entry-points.mae]
    "dataset.whatever" = "mae_whatever"
    "task.denoise" = "mae_whatever"
    recipes = "mae_whatever"

**When.** The module is imported, and its hook of that kind called, when one of its things is first named by a run, a
checkpoint or `mae plugins show`, or when `mae plugins list` finds out what works. **Not** for any `--help`, nor for a
run that names none of its things. **Results** are the classes of one module; only what an entry point announces can be
named. A hook that raises, or returns anything else than a list of classes derived from the base named here, makes this
module's things of that kind unusable, and nothing else. All hooks are there since 0.1.

A module may say `MAE_API_VERSION = 1`, the `api.API_VERSION` that it was written for; without it the current one is
assumed. Recipes need no hook: `recipes` names a package, and each `NAME.yaml` in its folder is the recipe NAME.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from maecli.data.dataset import Dataset
    from maecli.exporting.format import ExportFormat
    from maecli.modalities.modality import Modality
    from maecli.models.plugin import Model
    from maecli.training.task import Task
    from maecli.training.tracker import Tracker

API_VERSION = 1
"""Of `maecli.api` and of these hooks; raised when a plugin that was right becomes wrong."""
SUPPORTED_API_VERSIONS = (1,)
"""The versions that a plugin may have been written for."""

hookspec = pluggy.HookspecMarker("mae")
hookimpl = pluggy.HookimplMarker("mae")


@hookspec
def mae_datasets() -> list[type[Dataset]]:  # type: ignore[empty-body]
    """Return the data sets that this module adds."""


@hookspec
def mae_modalities() -> list[type[Modality]]:  # type: ignore[empty-body]
    """Return the kinds of samples that this module adds; a data set's card names the one of its samples."""


@hookspec
def mae_tasks() -> list[type[Task[Any]]]:  # type: ignore[empty-body]
    """Return the tasks that this module adds."""


@hookspec
def mae_models() -> list[type[Model]]:  # type: ignore[empty-body]
    """Return the models, encoders and baselines, that this module adds."""


@hookspec
def mae_trackers() -> list[type[Tracker]]:  # type: ignore[empty-body]
    """Return the trackers that this module adds: places where metrics go.

    Called too where a report or comparison reads metrics back, as after `mae eval`; not to infer.
    """


@hookspec
def mae_exports() -> list[type[ExportFormat]]:  # type: ignore[empty-body]
    """Return the formats for other tools that this module adds, which `mae export --format` writes."""
