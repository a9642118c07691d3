"""Checking an installed plugin by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from maecli.errors import DataError, MaeError, SpecError
from maecli.registry import KINDS, Registry, registry
from maecli.resolve import read_document, validate_options
from maecli.specs import SPECS
from maecli.testing.datasets import check_dataset
from maecli.testing.finding import Finding, describe_error
from maecli.testing.models import check_model
from maecli.testing.tasks import check_task
from maecli.testing.trackers import check_tracker


def check(
    kind: str, name: str, options: Mapping[str, Any] | None = None, plugins: Registry | None = None
) -> list[Finding]:
    """Return what every check finds on an installed plugin, or the one that says why it cannot be had.

    `options` are the plugin's own, such as the root of a data set. Raises SpecError for an unknown kind or name.
    """
    plugins = plugins or registry()
    checks: dict[str, Callable[[], list[Finding]]] = {
        "dataset": lambda: _check_dataset(name, options, plugins),
        "task": lambda: check_task(plugins.task(name), None, options),
        "model": lambda: check_model(plugins.model(name), options),
        "tracker": lambda: check_tracker(plugins.tracker(name)),
        "recipe": lambda: [_check_recipe(name, plugins)],
    }
    if kind not in checks:
        raise SpecError(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
    try:
        return checks[kind]()
    except SpecError:
        raise
    except MaeError as error:
        return [Finding("data" if isinstance(error, DataError) else "loading", str(error))]


def _check_dataset(name: str, options: Mapping[str, Any] | None, plugins: Registry) -> list[Finding]:
    plugin = plugins.dataset(name)
    dataset = plugin(validate_options("dataset", name, options or {}, plugin.Options))  # type: ignore[arg-type]
    try:
        dataset.card()
    except DataError as error:
        return [Finding("data", f"{error} (the checks need the data, or a part of them in their layout)")]
    except Exception as error:
        return [Finding("card", f"card() fails: {describe_error(error)}")]
    return check_dataset(dataset)


def _check_recipe(name: str, plugins: Registry) -> Finding:
    text = plugins.recipe(name)
    for verb in SPECS:
        read_document(text, verb, f"recipe {name}", required=False)
    return Finding("reading", None)
