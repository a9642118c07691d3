"""Checking an installed plugin by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maecli.data.dataset import Dataset
from maecli.errors import DataError, MaeError, PluginError, SpecError
from maecli.registry import KINDS, Registry, registry
from maecli.run.open import make_dataset
from maecli.schema import PluginSection
from maecli.testing import datasets, exports, modalities, models, recipes, tasks, trackers
from maecli.testing.finding import Broken, Finding, Stages, describe_error, find_all
from maecli.testing.synthetic import Synthetic


def check(
    kind: str,
    name: str,
    options: Mapping[str, Any] | None = None,
    plugins: Registry | None = None,
    dataset: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Return a finding for each promise of an installed plugin, or the one that says why it cannot be had.

    `options` are the plugin's own, such as the root of a data set. `dataset` is what to try a task on, as in a spec:
    its name and, beside it, its options; by default pictures that the kit makes. Raises SpecError for an unknown kind
    or name, and for options that are not taken.
    """
    plugins = plugins or registry()
    if kind not in KINDS:
        raise SpecError(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
    try:
        match kind:
            case "dataset":
                made = _make({**(options or {}), "name": name}, plugins)
                return _find_all(datasets.STAGES, datasets.DatasetSubject(made), made, ("image",))
            case "task":
                task = plugins.task(name)
                made = _make(dataset, plugins) if dataset else Synthetic()
                return _find_all(tasks.STAGES, tasks.TaskSubject(task, made, options), made, task.fields)
            case "model":
                return models.check_model(plugins.model(name), options)
            case "modality":
                return modalities.check_modality(plugins.modality(name))
            case "export":
                return exports.check_export(plugins.export(name))
            case "tracker":
                return trackers.check_tracker(plugins.tracker(name))
            case _:
                return find_all(recipes.STAGES, recipes.RecipeSubject(name, plugins))
    except PluginError as error:
        return [Finding("loading", str(error))]
    except DataError as error:
        return [_absent(error)]
    except Broken as broken:
        return [Finding("making", str(broken))]


def _make(section: Mapping[str, Any], plugins: Registry) -> Dataset:
    """Return a data set. Raises SpecError for options that it does not take, DataError where data are missing."""
    valid = PluginSection.model_validate(section)
    try:
        return make_dataset(valid, plugins)
    except MaeError:
        raise
    except Exception as error:
        problem = f"{valid.name} cannot be made of {valid.options or 'its default options'}: {describe_error(error)}"
        raise Broken(f"{problem}; keep the options in __init__, and read files in card() and split()") from error


def _find_all(stages: Stages, subject: Any, dataset: Dataset, fields: Sequence[str]) -> list[Finding]:
    """Return a finding for each promise; for those of the first stage alone where there are no data."""
    try:
        dataset.card(fields)
    except DataError as error:
        return [_absent(error), *find_all(stages[:1], subject)]
    except Exception:  # which the promises tell
        pass
    return find_all(stages, subject)


def _absent(error: DataError) -> Finding:
    return Finding("data", None, f"{error} (the checks need the data, or a part of them in their layout)")
