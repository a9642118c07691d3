"""From a sweep to the runs that it takes: each different one once, however many points need it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maecli.errors import MaeError, SpecError
from maecli.plan.make import BELOW, leaves_open
from maecli.plan.make import make_plan as make_run_plan
from maecli.registry import Registry
from maecli.run.begin.request import request
from maecli.schema import CHANGEABLE_ON_RESUME, RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import PLANNED, Layer, flatten, topmost
from maecli.spec.resolve import resolve
from maecli.storage.names import file_name
from maecli.sweep.address import address
from maecli.sweep.definition import Arm, Stage, Sweep

FOLD = "data.fold"
"""The key in which the runs of a cross-validation differ."""

GRID = "grid"
"""The source of what a sweep sets in its runs: what varies, and what lies over all of them."""

Settings = dict[str, dict[str, Any]]
"""Verb → dotted key → value."""


@dataclass(frozen=True)
class Choice:
    """One value of an axis."""

    label: str
    settings: Settings
    number: float | None = None
    """The value, where it is a number that can be drawn on an axis."""


@dataclass(frozen=True)
class Axis:
    """One thing that varies."""

    name: str
    choices: tuple[Choice, ...]

    @property
    def is_numeric(self) -> bool:
        return all(choice.number is not None for choice in self.choices)


Point = Sequence[tuple[Axis, Choice]]
"""A choice of each axis."""


@dataclass(eq=False)
class Job:
    """One run of the sweep. Its spec lacks what depends on other runs: where it starts from, and `out`."""

    arm: str
    point: Mapping[str, str]
    """Axis → label, of the axes that matter to this run."""
    name: str
    """Of its directory."""
    spec: RunSpec
    init: Job | None = None
    """The pretraining that it starts from."""
    time_of: tuple[Job, Job] | None = None
    """The pretraining and the fine-tuning whose time together it has."""
    usual: bool = False
    """Whether it is as it would be without the grid."""

    @property
    def verb(self) -> str:
        return self.spec.verb

    @property
    def needs(self) -> tuple[Job, ...]:
        """The runs that must be finished before."""
        return (*([self.init] if self.init else []), *(self.time_of or ()))


@dataclass
class Plan:
    """Every run of a sweep, in the order in which they are done."""

    sweep: Sweep
    axes: tuple[Axis, ...]
    jobs: list[Job] = field(default_factory=list)
    varied: frozenset[str] = frozenset()
    """Keys of the spec that the grid and the arms set."""

    @property
    def is_folds(self) -> bool:
        """Whether its points are the folds of one cross-validation, and not settings to choose among."""
        return self.varied == {FOLD}

    @property
    def ignored(self) -> frozenset[str]:
        """Keys in which two runs may differ and still be one and the same."""
        return (CHANGEABLE_ON_RESUME - self.varied - {"init"}) | {"out"}


def make_plan(sweep: Sweep, registry: Registry) -> Plan:
    """Return the runs of a sweep.

    Every spec is resolved here, so that a mistake in the last point shows before the first run.
    """
    return _Planner(sweep, registry).plan()


class _Planner:
    def __init__(self, sweep: Sweep, registry: Registry) -> None:
        self.sweep, self.registry = sweep, registry
        self.arms: dict[str, Arm] = sweep.arms or ({"": Arm()} if sweep.finetune is not None else {})
        self.settings: Settings = {verb: {} for verb in sweep.verbs} | self._by_verb(flatten(sweep.settings))
        self.axes = tuple(self._axis(name, values) for name, values in sweep.grid.items())
        self.planned: Settings = dict(sweep.planned)
        _check_apart(self.axes)

    def _by_verb(self, keys: Mapping[str, Any]) -> Settings:
        """Return what keys of a sweep set in the specs of each verb."""
        settings: Settings = {}
        for key, value in keys.items():
            full, verbs = address(key, self.sweep.verbs)
            for verb in verbs:
                settings.setdefault(verb, {})[full] = value
        return settings

    def _axis(self, name: str, values: Sequence[Any] | Mapping[str, Mapping[str, Any]]) -> Axis:
        if isinstance(values, Mapping):
            named = [Choice(str(label), self._by_verb(flatten(tree))) for label, tree in values.items()]
            return Axis(name, tuple(named))
        choices = []
        for value in values:
            number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
            choices.append(Choice(label_of(value), self._by_verb({name: value}), number))
        return Axis(short_name(name, self.sweep.grid), tuple(choices))

    def _resolve(
        self, verb: str, arm: Arm, settings: Mapping[str, Any], seed: int, pretrain: RunSpec | None
    ) -> RunSpec:
        """Return a complete spec without `out`; a fine-tuning is offered data and model of its pretraining."""
        stage: Stage = getattr(self.sweep, verb)
        layers = [Layer(f"sweep.{verb}", stage.settings), Layer("sweep.arms", arm.settings)]
        init = None if arm.from_scratch else settings.get("init", topmost("init", layers))
        layers.append(Layer(GRID, {**settings, "seed": seed, "init": init}))
        flags = {"init": str(init)} if init else {}
        ask = Ask(verb, recipe=arm.recipe or stage.recipe, flags=flags, extra=layers)

        def resolved(ask: Ask) -> RunSpec:
            if pretrain is not None and init is None:
                return resolve(ask, self.registry, offer=pretrain.model_dump(mode="json"))
            return request(ask, self.registry)

        spec = self._with_plan(ask, resolved)
        if spec.data.folds is not None:
            raise SpecError(
                "data.folds is not for a sweep, whose runs are one each; cross-validate by mae finetune --folds"
            )
        return spec.model_copy(update={"paths": (*spec.paths, *self.sweep.paths)})

    def _with_plan(self, ask: Ask, resolved: Callable[[Ask], RunSpec]) -> RunSpec:
        """Return a spec in which what nobody set is as it was planned for the first run of the verb."""
        spec = resolved(ask)
        if not leaves_open(spec):
            return spec
        if ask.verb not in self.planned:
            self.planned[ask.verb] = make_run_plan(ask, spec, resolved, self.registry).choice.settings
        settings = self._for_model(self.planned[ask.verb], spec)
        return resolved(dataclasses.replace(ask, plan=Layer(PLANNED, settings)))

    def _for_model(self, planned: Mapping[str, Any], spec: RunSpec) -> dict[str, Any]:
        """Return a plan whose sizes of pictures and patches serve the model of a spec, if that is named in it."""
        if spec.sources.get("model.name") == BELOW:
            return dict(planned)
        known = self.registry.model(spec.model.name).Options.model_fields
        kept = {key: value for key, value in planned.items() if not key.startswith("model.") or key[6:] in known}
        return kept | {"model.name": spec.model.name}

    def plan(self) -> Plan:
        """Return each different run once."""
        parts = [part for axis in self.axes for choice in axis.choices for part in choice.settings.values()]
        arms = [arm.settings for arm in self.arms.values()]
        plan = Plan(self.sweep, self.axes, varied=frozenset(key for part in [*parts, *arms] for key in part))
        jobs: dict[str, Job] = {}
        points = itertools.product(*([(axis, choice) for choice in axis.choices] for axis in self.axes))
        for point, seed in itertools.product(points, self.sweep.seeds):
            self._add_point(plan, jobs, point, seed)
        usual = self._usual(plan)
        for identity, job in jobs.items():
            job.usual = identity in usual
        plan.sweep = self.sweep.model_copy(update={"planned": self.planned})
        return plan

    def _usual(self, plan: Plan) -> Collection[str]:
        """Return which runs there would be without the grid, by what they are; none where it says what is needed."""
        alone, jobs = Plan(self.sweep, (), varied=plan.varied), dict[str, Job]()
        try:
            for seed in self.sweep.seeds:
                self._add_point(alone, jobs, (), seed)
        except MaeError:
            return ()
        return jobs.keys()

    def _add_point(self, plan: Plan, jobs: dict[str, Job], point: Point, seed: int) -> None:
        """Plan what one choice of each axis takes; `jobs` are the runs that are planned, by what they are."""
        settings: Settings = {verb: dict(part) for verb, part in self.settings.items()}
        for _, choice in point:
            for verb, part in choice.settings.items():
                settings[verb] |= part
        pretrain = None
        if self.sweep.pretrain is not None:
            spec = self._resolve("pretrain", Arm(), settings["pretrain"], seed, None)
            pretrain = _once(plan, jobs, self._job("", spec, point, {"pretrain"}))
        arms: dict[str, Job] = {}
        for name, arm in sorted(self.arms.items(), key=lambda item: item[1].total_time_of is not None):
            spec = self._resolve("finetune", arm, settings["finetune"], seed, pretrain.spec if pretrain else None)
            init = None if arm.from_scratch or spec.init is not None else pretrain
            time_of = (pretrain, arms[arm.total_time_of]) if pretrain and arm.total_time_of else None
            job = self._job(name, spec, point, {"pretrain", "finetune"} if init or time_of else {"finetune"})
            job.init, job.time_of = init, time_of
            arms[name] = _once(plan, jobs, job)

    def _job(self, arm: str, spec: RunSpec, point: Point, verbs: set[str]) -> Job:
        """Return a run with a readable name: what of the point is set for one of the `verbs`."""
        labels, parts = {}, [spec.verb, arm]
        for axis, choice in point:
            if any(verbs & other.settings.keys() for other in axis.choices):
                labels[axis.name] = choice.label
                name = axis.name.rpartition(".")[2].replace("_", "-")
                parts.append(f"{name}-{choice.label}" if axis.is_numeric else choice.label)
        return Job(arm, labels, file_name("-".join([*filter(None, parts), f"seed{spec.seed}"])), spec)


def _check_apart(axes: Sequence[Axis]) -> None:
    """Raise SpecError when two axes set the same key of a verb: one of them would do nothing."""
    setter: dict[tuple[str, str], str] = {}
    for axis in axes:
        for place in {(verb, key) for choice in axis.choices for verb, part in choice.settings.items() for key in part}:
            if place in setter:
                raise SpecError(
                    f"{setter[place]} and {axis.name} of the grid both set {'.'.join(place)}; leave one out"
                )
            setter[place] = axis.name


def _once(plan: Plan, jobs: dict[str, Job], job: Job) -> Job:
    """Return the run that is planned already and equals `job`; plan it, under a name of its own, if there is none."""
    identity = _whole_identity(job, plan.ignored)
    if identity not in jobs:
        job.name = unused(job.name, {other.name for other in plan.jobs})
        plan.jobs.append(job)
        jobs[identity] = job
    return jobs[identity]


def _whole_identity(job: Job, ignored: frozenset[str]) -> str:
    """Return what makes a run what it is, the runs that it needs among it."""
    needs = [_whole_identity(other, ignored) for other in job.needs]
    return json.dumps([needs, bool(job.time_of), identity_of(job.spec, ignored)], sort_keys=True)


def identity_of(spec: RunSpec, ignored: frozenset[str]) -> dict[str, Any]:
    """Return the dotted keys of a spec that make it what it is."""
    return {key: value for key, value in flatten(spec.model_dump(mode="json")).items() if key not in ignored}


def unused(name: str, taken: set[str]) -> str:
    """Return the name, with a number behind it if it is taken."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def label_of(value: Any) -> str:
    """Return a value as people read it: 0.75, 2x4, none."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "x".join(map(label_of, value))
    return str(value)


def short_name(key: str, keys: Iterable[str]) -> str:
    """Return the last part of a dotted key, or the whole where two keys of the grid would look alike."""
    last = key.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in keys) == 1 else key
