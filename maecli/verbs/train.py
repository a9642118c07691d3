"""`mae pretrain` and `mae finetune`: from what a person asks for to a run, what it would be, or what can be set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import maecli.run.dry_run as dry
import maecli.run.train as training
from maecli.errors import SpecError
from maecli.plan.batches import changed_batch
from maecli.plan.make import RunPlan, leaves_open, make_plan
from maecli.plan.words import sentence
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.registry.describe import Option, describe_options, value_words
from maecli.run.compare.arms import arms_by_default, arms_of
from maecli.run.compare.companions import compare
from maecli.run.request import request
from maecli.run.runs_page import renew_runs_page
from maecli.run.weights.initial import offered_spec
from maecli.schema import PLUGIN_SECTIONS, RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import flatten
from maecli.spec.resolve import stack


def train(
    ask: Ask,
    registry: Registry,
    progress: Progress,
    *,
    overwrite: bool = False,
    verify_data: bool = False,
    verbose: bool = False,
    time_s: float | None = None,
) -> training.TrainResult:
    """Do the run that is asked for, and those that it is compared with.

    `verbose`: say where each setting came from; `time_s`: what the run may take.
    """
    spec = request(ask, registry)
    arms = arms_of(ask.compare, spec)
    training.check_place(spec, registry, ask.resume, overwrite, time_s)  # before time is spent on a plan
    spec, plan = _planned(spec, ask, registry, progress, verbose, time_s)
    if ask.compare is None and plan is not None:
        arms = arms_by_default(spec, plan.choice.seconds, plan.time_s)
    result = training.train(
        spec,
        registry,
        progress,
        resume=ask.resume,
        overwrite=overwrite,
        verify_data=verify_data,
        companions=arms,
        planned=sentence(plan) if plan is not None else "",
        time_s=time_s,
        opened=plan.data if plan is not None else None,
    )
    if ask.compare != "none":
        result = replace(result, payoff=compare(result.run, registry, progress))
    renew_runs_page(progress.say, result.run.path)
    return result


def dry_run(
    ask: Ask, registry: Registry, progress: Progress, *, verbose: bool = False, time_s: float | None = None
) -> tuple[dict[str, Any], list[Setting]]:
    """Build what is asked for and time a few steps; write nothing. Return what the run would be, and its settings."""
    spec = request(ask, registry)
    arms_of(ask.compare, spec)
    spec, plan = _planned(spec, ask, registry, progress, verbose, time_s)
    if plan is not None:
        progress.say(sentence(plan))
    facts = dry.dry_run(spec, registry, progress, time_s)
    settings = settings_of(spec)
    sources = {setting.key: setting.source for setting in settings}
    return {**facts, "spec": spec.model_dump(mode="json"), "sources": sources}, settings


class Setting(NamedTuple):
    """One key of a spec, its value in words, and where that came from."""

    key: str
    value: str
    source: str


def settings_of(spec: RunSpec) -> list[Setting]:
    """Return all settings of a spec, by key."""
    flat = flatten(spec.model_dump(mode="json"))
    return [Setting(key, value_words(flat[key]), spec.sources.get(key, "default")) for key in sorted(flat)]


def _planned(
    spec: RunSpec, ask: Ask, registry: Registry, progress: Progress, verbose: bool, time_s: float | None
) -> tuple[RunSpec, RunPlan | None]:
    """Return the spec of a run, in which what nobody set is planned, and the plan, None without one."""
    plan = None
    if leaves_open(spec):
        with progress.working("planning"):
            plan = make_plan(ask, spec, lambda planned: request(planned, registry), registry, time_s, progress.say)
        spec = request(plan.ask(ask), registry)
    elif time_s is not None:
        source = spec.sources.get("train.epochs", "train.max_steps")
        raise SpecError(f"--time plans how long a run trains, and {source} says it already; leave one of them out")
    elif note := changed_batch(ask, spec, lambda usual: request(usual, registry)):
        progress.say(note)
    if verbose:
        for key, value, source in settings_of(spec):
            progress.say(f"{key}: {value} ({source})")
    return spec, plan


@dataclass(frozen=True)
class ChosenOptions:
    """The options of one chosen plugin."""

    kind: str
    """dataset, task or model."""
    name: str
    """Empty where none is chosen."""
    about: str
    options: tuple[Option, ...]
    here: dict[str, str]
    """What settings make of options: key → value, with the source."""

    @property
    def heading(self) -> str:
        if not self.name:
            return f"{self.kind}: none is chosen; `mae plugins` lists them"
        return f"{self.kind} {self.name}" + (f": {self.about}" if self.about else "")


def chosen_options(ask: Ask, registry: Registry) -> list[ChosenOptions]:
    """Return the options of the data set, the task and the model that are chosen, before anything is missing or wrong.

    Nothing is validated.
    """
    init = ask.flags.get("init")
    settings, sources = stack(ask, registry, offered_spec(Path(init)) if init else None)
    plugins = []
    for section in PLUGIN_SECTIONS:
        name = str(settings.get(f"{section}.name") or "")
        if not name:
            plugins.append(ChosenOptions(section, "", "", (), {}))
            continue
        plugin = getattr(registry, section)(name)
        about = (plugin.__doc__ or "").strip().partition("\n")[0]
        here = {
            key: f"{value_words(value)} ({sources[key]})"
            for key, value in settings.items()
            if key.startswith(f"{section}.") and key != f"{section}.name"
        }
        plugins.append(ChosenOptions(section, name, about, tuple(describe_options(section, plugin.Options)), here))
    return plugins
