"""All that a task promises, and who looks whether it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from maecli.data.dataset import Dataset
from maecli.models.encoder import Encoder
from maecli.plugin_options import Options
from maecli.schema import SPECS
from maecli.testing.finding import Finding, Stages, expect, find_all, must_work
from maecli.testing.imports import imports
from maecli.testing.options import check_class, check_options, spec
from maecli.testing.tasks.calibrating import calibration
from maecli.testing.tasks.drawing import drawing
from maecli.testing.tasks.learning import class_rows, frozen, parted, repeatable, training, wrapped
from maecli.testing.tasks.measuring import adding, comparing, evaluation
from maecli.testing.tasks.predicting import alone, prediction, saving
from maecli.testing.tasks.subject import TaskSubject
from maecli.text import some
from maecli.training.task import Task


def options(subject: TaskSubject) -> None:
    """The class says what it is, and of what; each option has a default and a description."""
    plugin = subject.plugin
    check_class(plugin)
    check_options(plugin, Options)
    expect(
        plugin.verb in SPECS,
        f"{plugin.__name__}.verb is {plugin.verb!r}; write one of {', '.join(SPECS)}, the verb that trains it",
    )
    expect(
        isinstance(plugin.fields, tuple) and "image" in plugin.fields,
        f'{plugin.__name__}.fields is {plugin.fields!r}; write a tuple with "image" and what else a sample must carry',
    )
    unknown = sorted(set(plugin.on_whole_pictures) - set(plugin.Options.model_fields))
    expect(not unknown, f"{plugin.__name__}.on_whole_pictures names {some(unknown)}, which is none of its options")
    unknown = sorted(set(plugin.head_options) - set(plugin.Options.model_fields))
    expect(not unknown, f"{plugin.__name__}.head_options names {some(unknown)}, which is none of its options")


def build(subject: TaskSubject) -> None:
    """The task accepts the data, and builds a module that holds the encoder."""
    fields = [field for field in subject.plugin.fields if field not in subject.card.fields]
    expect(
        not fields,
        f"{subject.card.name} has no {some(fields)} to try {subject.plugin.name} on; give the kit a data set that has: "
        f"override dataset(self, tmp_path), or write `mae plugins check task.{subject.plugin.name} --dataset NAME`",
    )
    what = f"{subject.plugin.name} cannot be built for {subject.card.name} with {subject.settings or 'its defaults'}"
    with must_work(what, "build a module for any encoder, or give the kit a data set and options that suit"):
        module = subject.module
    expect(isinstance(module, nn.Module), f"build() returns {type(module).__name__}; return the nn.Module to train")
    encoder = getattr(module, "encoder", None)
    expect(
        isinstance(encoder, Encoder),
        f"the module of {subject.plugin.name} has no attribute `encoder`; keep the encoder there, since weights are "
        "taken from it and given to it by that name",
    )
    modules = [name for name, value in vars(subject.task).items() if isinstance(value, nn.Module | nn.Parameter)]
    expect(
        not modules,
        f"the task itself holds {some(modules)}; put what learns into the module, since only that is trained and saved",
    )


STAGES: Stages = (
    (options, spec, imports),
    (build,),
    (class_rows, training, evaluation, prediction),
    (repeatable, wrapped, adding, comparing, alone, saving, drawing, calibration),
    (parted,),
    (frozen,),
)


def check_task(
    task: type[Task[Any]], dataset: Dataset | None = None, options: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Return a finding for each promise of a task with these options, on a data set or on pictures made by rule."""
    return find_all(STAGES, TaskSubject(task, dataset, options))
