"""`mae pretrain` and `mae finetune`: from what a person asks for to a run, what it would be, or what can be set."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import maecli.run.dry_run as dry
import maecli.run.train as training
from maecli.errors import MaeError, SpecError, TimeIsUp
from maecli.parallel.environment import first_started, has_begun
from maecli.plan.batches import changed_batch
from maecli.plan.make import RunPlan, can_plan, make_plan, who_says
from maecli.plan.words import sentence
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.registry.describe import Option, describe_options, value_words
from maecli.run.begin.launch import Launch, Place, find_place
from maecli.run.begin.request import request
from maecli.run.compare.arms import arms_of, companions_seconds, title_of
from maecli.run.compare.companions import compare
from maecli.run.pages.runs import renew_runs_page
from maecli.run.stopped import stopped_by_hand
from maecli.run.suited import shell
from maecli.run.train import TrainResult
from maecli.run.weights.initial import offered_spec
from maecli.schema import PLUGIN_SECTIONS, RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import flatten
from maecli.spec.resolve import LENGTH, stack
from maecli.sweep.folds import cross_validate


def train(
    ask: Ask,
    registry: Registry,
    progress: Progress,
    *,
    overwrite: bool = False,
    verify_data: bool = False,
    verbose: bool = False,
    time_s: float | None = None,
    max_time_s: float | None = None,
) -> TrainResult:
    """Do the run that is asked for, and those that it is compared with.

    `verbose`: say where each setting came from; `time_s`: what the run is planned for, of a cross-validation all its
    runs; `max_time_s`: after which time from now on to have stopped and saved, whatever is left to do.
    """
    begin = first_started() or time.monotonic()
    ask = replace(ask, for_time=time_s is not None)
    if has_begun():  # and another process of it died
        ask, overwrite = replace(ask, resume_or_start=True), False
    spec = request(ask, registry)
    _check_comparison(ask, spec)
    _check_nothing_random_is_kept(spec)
    until = begin + max_time_s if max_time_s is not None else math.inf
    launch = Launch(ask.may_resume, overwrite, verify_data, time_s, until, patient=ask.resume_or_start)
    place = find_place(spec, registry, launch)  # before time is spent on a plan
    was_finished = place.run.is_finished
    try:
        with stopped_by_hand(place.run):
            result = _train(spec, ask, registry, progress, launch, place, verbose)
    except TimeIsUp as stop:
        if not (stop.progressed or (place.run.is_finished and not was_finished)):
            raise MaeError("the time of --max-time was up before a step of training was done; give more time") from stop
        resume = shell("mae", spec.verb, "--resume", "--out", place.run)
        seconds = time.monotonic() - begin
        result = TrainResult(place.run, None, seconds, (), [(resume, "go on")], ending=str(stop), finished=False)
    renew_runs_page(progress.say, result.run.path)
    return result


def _train(
    spec: RunSpec, ask: Ask, registry: Registry, progress: Progress, launch: Launch, place: Place, verbose: bool
) -> TrainResult:
    """Plan a run, and do it with those that it is compared with."""
    folds = spec.data.folds if _has_folds(spec) else None
    each_s = launch.time_s / (folds + 1) if launch.time_s is not None and folds else launch.time_s
    if ask.resume_or_start and place.going_on and launch.time_s == place.run.time_s:
        each_s = None  # it was planned for this time when it began
    spec, plan = _planned(spec, ask, registry, progress, verbose, each_s)
    arms = _companions(ask, spec, plan)
    planned = _in_words(plan, arms) if plan is not None else ""
    if folds:
        if planned:
            progress.say(f"each of {folds + 1} runs: {planned}")
        return cross_validate(spec, registry, progress, launch)
    opened = plan.data if plan is not None else None
    measured = plan.choice.durations if plan is not None else None
    result = training.train(
        spec, registry, progress, launch, companions=arms, planned=planned, opened=opened, durations=measured
    )
    if ask.compare != "none":
        result = replace(result, payoff=compare(result.run, registry, progress, launch.until))
    return result


def dry_run(
    ask: Ask, registry: Registry, progress: Progress, *, verbose: bool = False, time_s: float | None = None
) -> tuple[dict[str, Any], list[Setting]]:
    """Build what is asked for and time a few steps; write nothing. Return what the run would be, and its settings."""
    ask = replace(ask, for_time=time_s is not None)
    spec = request(ask, registry)
    _check_comparison(ask, spec)
    _check_nothing_random_is_kept(spec)
    spec, plan = _planned(spec, ask, registry, progress, verbose, time_s)
    arms = _companions(ask, spec, plan)
    if plan is not None:
        progress.say(_in_words(plan, arms))
    facts = dry.dry_run(spec, registry, progress, time_s, plan.data if plan is not None else None)
    if _has_folds(spec):
        facts |= _of_all_folds(facts, spec)
    elif arms:
        facts |= _with_companions(facts, arms, spec)
    settings = settings_of(spec)
    sources = {setting.key: setting.source for setting in settings}
    return {**facts, "spec": spec.model_dump(mode="json"), "sources": sources}, settings


def _has_folds(spec: RunSpec) -> bool:
    """Whether a spec is that of a whole cross-validation, not of one run of it that is done, or goes on, by itself."""
    return spec.data.folds is not None and spec.data.fold is None and spec.extend is None


def _check_comparison(ask: Ask, spec: RunSpec) -> None:
    """Raise SpecError for a comparison that is asked for and cannot be made."""
    if arms_of(ask.compare, spec) and _has_folds(spec):
        raise SpecError("--compare trains a run once more, and --folds trains one for each fold; give one of them")


def _check_nothing_random_is_kept(spec: RunSpec) -> None:
    """Raise SpecError where a part of the encoder would stay as it is, from which nothing has learnt."""
    kept = "adapt" if spec.adapt is not None else "train.freeze_blocks" if spec.train.freeze_blocks else ""
    if kept and spec.init is None and spec.extend is None:
        raise SpecError(
            f"{kept} keeps weights of the encoder as they are, which are random without --init; give it, or leave "
            f"{kept} out"
        )


def _companions(ask: Ask, spec: RunSpec, plan: RunPlan | None) -> tuple[str, ...]:
    """Return the runs that a run is compared with: those that are asked for, else those that its plan has time for."""
    if ask.compare is not None or plan is None or _has_folds(spec):
        return arms_of(ask.compare, spec)
    return plan.companions


def _in_words(plan: RunPlan, arms: Sequence[str]) -> str:
    return sentence(plan, companions_seconds(arms, plan.choice.spec, plan.choice.seconds or 0.0))


def _with_companions(facts: Mapping[str, Any], arms: Sequence[str], spec: RunSpec) -> dict[str, Any]:
    """Return what a run is compared with, and how long all of them take."""
    seconds = facts["estimated_seconds"] + companions_seconds(arms, spec, facts["estimated_seconds"])
    return {
        "compared_with": [f"the same {title_of(arm, spec)}" for arm in arms],
        "estimated_seconds": round(seconds),
        "estimated_time": dry.time_in_words(seconds, spec),
    }


def _of_all_folds(facts: Mapping[str, Any], spec: RunSpec) -> dict[str, Any]:
    """Return how long the runs of all folds and the one that learns from all take, told from this one.

    A fold's run has as many epochs of fewer samples, or as many steps; a pretraining for each is not counted.
    """
    num = spec.data.folds or 0
    seconds = facts["estimated_seconds"] * (num if spec.train.max_steps is None else num + 1)
    return {"folds": num, "estimated_seconds": seconds, "estimated_time": dry.time_in_words(seconds, spec)}


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
    if can_plan(spec, time_s):
        with progress.working("planning"):
            plan = make_plan(ask, spec, lambda planned: request(planned, registry), registry, time_s, progress.say)
        spec = request(plan.ask(ask), registry)
    elif time_s is not None:
        source = who_says(spec, LENGTH)
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
