"""Checking an installed plugin by its name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from maecli.data.dataset import Dataset
from maecli.errors import DataError, MaeError, PluginError, SpecError
from maecli.registry import KINDS, Registry, registry
from maecli.run.assemble import make_dataset
from maecli.schema import PluginSection
from maecli.testing import datasets, models, recipes, tasks, trackers
from maecli.testing.finding import Checks, Finding, describe_error

S = TypeVar("S")
Looks = dict[str, Callable[[], Finding]]
"""What there is to look at, by name, in order."""

WITHOUT_DATA = ("options", "spec", "imports")
"""Checks of data sets and tasks that need no data."""


class _NotMade(Exception):
    """A data set cannot be made; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


def check(
    kind: str,
    name: str,
    options: Mapping[str, Any] | None = None,
    plugins: Registry | None = None,
    dataset: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Return what every check finds on an installed plugin, or the one that says why it cannot be had.

    `options` are the plugin's own, such as the root of a data set. `dataset` is what to try a task on, as in a spec:
    its name and, beside it, its options; by default pictures that the kit makes. Raises SpecError for an unknown kind
    or name, and for options that are not taken.
    """
    return [look() for look in looks(kind, name, options, plugins, dataset).values()]


def looks(
    kind: str,
    name: str,
    options: Mapping[str, Any] | None = None,
    plugins: Registry | None = None,
    dataset: Mapping[str, Any] | None = None,
) -> Looks:
    """Return what `check` looks at, one by one; the plugin is loaded, and its data are opened. Raises what it does."""
    plugins = plugins or registry()
    if kind not in KINDS:
        raise SpecError(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
    try:
        module = plugins.listing(kind, name).module
        match kind:
            case "dataset":
                made = _make({**(options or {}), "name": name}, plugins)
                dataset_subject = datasets.DatasetSubject(made, entry_module=module)
                return _of(datasets.CHECKS, dataset_subject, _missing(made, ("image",)))
            case "task":
                task = plugins.task(name)
                on = _make(dataset, plugins) if dataset else None
                subject = tasks.TaskSubject(task, on, options, module)
                return _of(tasks.CHECKS, subject, _missing(on, task.fields) if on else None)
            case "model":
                return _of(models.CHECKS, models.ModelSubject(plugins.model(name), options, entry_module=module))
            case "tracker":
                return _of(trackers.CHECKS, trackers.TrackerSubject(plugins.tracker(name), module))
            case _:
                plugins.recipe(name)
                return _of(recipes.CHECKS, recipes.RecipeSubject(name, plugins))
    except PluginError as error:
        return _only(Finding("loading", str(error)))
    except _NotMade as error:
        return _only(error.finding)


def _make(section: Mapping[str, Any], plugins: Registry) -> Dataset:
    """Return a data set. Raises SpecError for options that it does not take, and _NotMade."""
    chosen = PluginSection.model_validate(section)
    try:
        return make_dataset(chosen, plugins)
    except DataError as error:
        raise _NotMade(_absent(error)) from error
    except MaeError:
        raise
    except Exception as error:
        problem = f"{chosen.name} cannot be made of {chosen.options or 'its default options'}: {describe_error(error)}"
        way = "keep the options in __init__, and read files in card() and split()"
        raise _NotMade(Finding("making", f"{problem}; {way}")) from error


def _missing(dataset: Dataset, fields: Sequence[str]) -> Finding | None:
    """Return why there is nothing to look at; None where there is a card, or an error that the checks tell."""
    try:
        dataset.card(fields)
    except DataError as error:
        return _absent(error)
    except Exception:
        return None
    return None


def _absent(error: DataError) -> Finding:
    return Finding("data", None, f"{error} (the checks need the data, or a part of them in their layout)")


def _of(checks: Checks[S], subject: S, missing: Finding | None = None) -> Looks:
    """Return the checks of a subject; those that need no data where `missing` says that there are none."""
    done: dict[str, Finding] = {}
    found: Looks = {each.name: functools.partial(checks.find, each.name, subject, done) for each in checks}
    if missing is None:
        return found
    return _only(missing) | {name: found[name] for name in WITHOUT_DATA}


def _only(finding: Finding) -> Looks:
    return {finding.check: lambda: finding}
