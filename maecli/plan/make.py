"""From what a person asks for to a plan: facts of the data, rules, and a few steps that are timed here."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maecli.data.facts import Facts
from maecli.errors import PluginError
from maecli.models.encoder import Encoder
from maecli.models.plugin import Model
from maecli.outputs.faults import Faults
from maecli.plan import rules
from maecli.plan.budget import default_time
from maecli.plan.survey import survey
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.timing import Timing, time_run
from maecli.run.compare.arms import arms_by_default
from maecli.run.directory import Say
from maecli.run.open import Built, Data, check_task, make_modality, open_device, open_run
from maecli.run.together import make_trainer
from maecli.schema import RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import PLANNED, Layer
from maecli.spec.recipes import DEFAULTS
from maecli.spec.resolve import LENGTH
from maecli.training.loop.pace import Durations

BELOW = f"recipe {DEFAULTS}"
"""Where what a plan replaces comes from."""
BY_HAND = ("flag", "--set", "grid")
"""Where what a person says of a run comes from; of a sweep, that is its grid."""
OPEN = (*BY_HAND, BELOW)
"""Where the schedule of a run may come from that is planned: what a recipe or file says of it stands."""
SCHEDULE = tuple(f"train.{key}" for key in ("epochs", "max_steps", "batch_size", "base_lr", "warmup_epochs"))
TIMING_S = 2.0
"""How long the steps of one choice are timed, about."""
FOR_STEPS = 0.92
"""Share of the time that is planned for training and measuring on validation; the rest starts and ends the run."""
FOR_VALIDATION = 0.1
GLANCE = 10_000
"""Files that stand for all where only a plan is wanted, and no run."""
Resolve = Callable[[Ask], RunSpec]


@dataclass(frozen=True)
class Choice:
    """One way to train: a spec in which nothing is open, and what it takes."""

    built: Built
    """What was timed: of the same model, at the same size."""
    spec: RunSpec
    settings: rules.Settings
    """What was planned of it, by dotted key."""
    timing: Timing | None
    """None where nothing had to be timed, as it is said how long the run trains."""
    steps: int
    steps_per_epoch: int
    seconds: float | None
    """What training takes, about."""

    @property
    def img_size(self) -> tuple[int, ...]:
        return self.built.preprocess.img_size

    @property
    def durations(self) -> Durations | None:
        """What the parts of training take that come again and again, if they were timed."""
        return self.timing.durations(self.steps) if self.timing else None

    @property
    def passes(self) -> int:
        """Samples that are seen in training, those of each epoch counted."""
        return self.steps * self.spec.train.batch_size


@dataclass(frozen=True)
class RunPlan:
    """What was planned for a run."""

    facts: Facts
    device: str
    """Its kind: cpu, cuda, mps."""
    time_s: float
    """What it may take."""
    choice: Choice
    data: Data
    """What it goes by, opened, for the run to take over."""

    @property
    def companions(self) -> tuple[str, ...]:
        """The runs that there is time to compare it with."""
        return arms_by_default(self.choice.spec, self.choice.seconds, self.time_s)

    def ask(self, ask: Ask) -> Ask:
        """Return what was asked for with the plan beside it."""
        return dataclasses.replace(ask, plan=Layer(PLANNED, self.choice.settings))


def leaves_open(spec: RunSpec) -> bool:
    """Whether nobody but defaults, or a person by a flag, says how a run is trained: then the rest is planned."""
    return not who_says(spec)


def can_plan(spec: RunSpec, time_s: float | None) -> bool:
    """Whether something is left to plan: of a run with a time its length at least, whatever else a recipe says."""
    return not who_says(spec, SCHEDULE if time_s is None else LENGTH)


def who_says(spec: RunSpec, keys: Sequence[str] = SCHEDULE) -> str:
    """Return what says these of a run, beside defaults and flags: a recipe, a file; empty where nothing does."""
    return next((source for key in keys if (source := spec.sources.get(key, BELOW)) not in OPEN), "")


def make_plan(
    ask: Ask,
    spec: RunSpec,
    resolve: Resolve,
    registry: Registry,
    time_s: float | None = None,
    say: Say = lambda _: None,
    data: Data | None = None,
) -> RunPlan:
    """Return a plan for what is asked for; `spec` is what that comes to without one.

    `say` is told of files that are left out; `data` are those to go by, where they are open already.

    Raises what opening the data, or building what a person set, raises.
    """
    planner = Planner(ask, spec, resolve, registry, time_s, say, data=data)
    return RunPlan(planner.facts, planner.device, planner.time_s, planner.best(), planner.data)


class Planner:
    """Plans one run on data that are opened once."""

    def __init__(
        self,
        ask: Ask,
        spec: RunSpec,
        resolve: Resolve,
        registry: Registry,
        time_s: float | None,
        say: Say = lambda _: None,
        glance: int | None = None,
        data: Data | None = None,
    ) -> None:
        """Open the data, unless they are open; `say` is told of files that are left out, `glance` is that of `Data`."""
        self.asked, self.open_spec, self.resolve, self.registry = ask, spec, resolve, registry
        check_task(spec, registry)
        self.task, device = registry.task(spec.task.name), open_device(spec)[0]
        self.device = device.type
        self.time_s = time_s or default_time(self.device, spec.verb)
        begin = time.monotonic()
        faults = Faults(say, spec.data.strict)
        self.data = data or Data(spec, registry, self.task.fields, faults, spec.task.name, glance=glance)
        self.modality = make_modality(self.data.card, registry)
        self.facts = survey(self.data, self.modality)
        self.opening_s = time.monotonic() - begin
        self._plans_length_alone = not leaves_open(spec)

    def best(self) -> Choice:
        """Return the choice that suits the time: of the models to choose from the largest that pays in it."""
        first, *larger = self.models()
        choice = self.choice(first)
        for model in larger:
            if self.most_passes(choice) < (model.worth_from or 0):
                break
            larger_choice = self.choice(model)
            if self.most_passes(larger_choice) < (model.worth_from or 0):
                break
            choice = larger_choice
        return choice

    def most_passes(self, choice: Choice) -> float:
        """Return how many samples a choice could be shown in the time, up to where more are of no use."""
        if choice.timing is None:
            return choice.passes
        affordable = FOR_STEPS * self.time_s / choice.timing.step_s * choice.spec.train.batch_size
        return min(affordable, rules.MOST_EPOCHS[self.open_spec.verb] * self.facts.num_train)

    def models(self) -> Sequence[type[Model]]:
        """Return the models to choose from, the least demanding first: the one that is named, else those for plans."""
        if self._is_set("model.name"):
            return [self.registry.model(self.open_spec.model.name)]
        offered = []
        for name in self.registry.names("model"):
            with contextlib.suppress(PluginError):  # whoever named it would be told
                model = self.registry.model(name)
                if model.worth_from is not None:
                    offered.append(model)
        offered.sort(key=lambda model: (model.worth_from or 0, model.name))
        return offered or [self.registry.model(self.open_spec.model.name)]

    def choice(self, model: type[Model], time_s: float | None = None, largest: int | None = None) -> Choice:
        """Return how a model trains in the time; a few steps of it are timed where nobody says how many there are.

        `largest`, twice the side that suits the device, is the longest that it is given instead.
        """
        size, settings = self._of_model(model, largest)
        settings = self._planned(settings | self._of_data(size))
        trial = self._spec(settings)
        built = open_run(trial, self.registry, lambda _: None, opened=self.data)
        trainer = make_trainer(built, None, Progress())
        encoder = built.module.get_submodule("encoder")
        assert isinstance(encoder, Encoder)
        timing = None if self._says_steps else time_run(trainer, TIMING_S)
        times = 1.0 if trial.adapt is None else trial.adapt.TIMES_RATE
        settings["train.base_lr"] = rules.base_rate(trial.train.batch_size, encoder.embed_dim, times)
        return self._scheduled(built, settings, timing, time_s or self.time_s)

    def rescheduled(self, choice: Choice, time_s: float) -> Choice:
        """Return a choice as it would train in another time."""
        return self._scheduled(choice.built, choice.settings, choice.timing, time_s)

    def _scheduled(self, built: Built, settings: rules.Settings, timing: Timing | None, time_s: float) -> Choice:
        """Return how what was built trains in the time."""
        trainer = make_trainer(built, None, Progress())
        batch, per_epoch = built.spec.train.batch_size, trainer.schedule.steps_per_epoch
        if timing is None:
            schedule, validations = rules.Schedule(batch, trainer.schedule.total_steps, per_epoch), rules.VALIDATIONS
        else:
            validations = self._validations(timing, time_s)
            schedule = self._schedule(timing, time_s, validations, batch, per_epoch)
        settings = self._planned(settings | schedule.settings(validations) | self._of_verb(schedule))
        spec = self._spec(settings)
        trainer = make_trainer(dataclasses.replace(built, spec=spec), None, Progress())
        return Choice(
            built=built,
            spec=spec,
            settings=settings,
            timing=timing,
            steps=trainer.schedule.total_steps,
            steps_per_epoch=trainer.schedule.steps_per_epoch,
            seconds=timing.total_s(trainer.schedule.total_steps, *trainer.schedule.num_left(0)) if timing else None,
        )

    def _spec(self, settings: rules.Settings) -> RunSpec:
        return self.resolve(dataclasses.replace(self.asked, plan=Layer(PLANNED, settings)))

    def _planned(self, settings: rules.Settings) -> rules.Settings:
        """Return what is planned of settings: how long a run trains alone, where a recipe says how."""
        return {key: value for key, value in settings.items() if key in LENGTH or not self._plans_length_alone}

    def _is_set(self, key: str) -> bool:
        """Whether a person, a recipe or what `--init` names says it."""
        return self.open_spec.sources.get(key, BELOW) != BELOW

    def larger_side(self) -> int | None:
        """Return twice the side that pictures are given; None where they have no more, or a size is said."""
        if not self.modality.pictorial or self._is_set("model.img_size") or self._is_set("model.patch_size"):
            return None
        twice = 2 * max(rules.picture_size(self.facts.size, self.device, self.task.own_size))
        return twice if min(self.facts.size) >= twice else None

    @property
    def _says_steps(self) -> bool:
        """Whether it is said how long the run trains."""
        return self._is_set("train.epochs") or self._is_set("train.max_steps")

    def _of_model(self, model: type[Model], largest: int | None) -> tuple[tuple[int, ...], rules.Settings]:
        """Return the size at which a model sees samples, and it as settings.

        Of pictures the size is planned, and that of patches; what a person says of one decides the other.
        """
        settings: rules.Settings = {"model.name": model.name}
        if not self.modality.pictorial:
            return self.facts.size, settings
        said = {key: self._option(key) for key in ("img_size", "patch_size")}
        size = said["img_size"] or rules.picture_size(
            self.facts.size, self.device, self.task.own_size, largest, said["patch_size"]
        )
        settings["model.img_size"] = size[0] if len(set(size)) == 1 else list(size)
        if "patch_size" in model.Options.model_fields:
            # Of larger pictures there are more patches, and no larger ones: these are what shows more.
            patch = rules.patch_size(size, self.device)
            settings["model.patch_size"] = patch if largest is None else patch // 2
        return size, settings

    def _option(self, key: str) -> tuple[int, ...] | None:
        """Return lengths along each axis that are set for the model, None where they are not."""
        value = self.open_spec.model.options.get(key) if self._is_set(f"model.{key}") else None
        if isinstance(value, int):
            return (value,) * self.modality.axes
        return tuple(value) if value else None

    def _of_data(self, size: tuple[int, ...]) -> rules.Settings:
        verb, facts = self.open_spec.verb, self.facts
        options = {f"task.{name}": value for name, value in self.task.suited(facts).items()}
        known = frozenset() if self.open_spec.train.freeze else self.modality.augments  # features are computed once
        changes = rules.augmentation(verb, facts, known, self.task.own_size, size)
        batch = rules.batch_size(facts.num_train, self.device, self.modality.cpu_batch)
        sizes = {"train.batch_size": batch, "train.last_batch": "keep"}
        return {"task.name": self.task.name, **options, **changes, **sizes}

    def _of_verb(self, schedule: rules.Schedule) -> rules.Settings:
        if self.open_spec.verb == "pretrain":
            return {}
        whole = self.open_spec.init is None or self.open_spec.adapt is not None  # adapters start anew in every layer
        layer_decay = 1.0 if whole else rules.LAYER_DECAY
        return {"train.ema_decay": rules.average_decay(schedule.steps), "train.layer_decay": layer_decay}

    def _schedule(self, timing: Timing, time_s: float, validations: int, batch: int, per_epoch: int) -> rules.Schedule:
        """Return as many steps as the time allows, beside opening the data, measuring and saving."""
        others = self.opening_s + timing.total_s(0, validations + 1, rules.SAVES)
        seconds = FOR_STEPS * time_s - others
        seconds = max(seconds, time_s / 3)
        return rules.schedule(self.open_spec.verb, batch, per_epoch, timing.step_s, seconds, timing.first_epoch_s)

    def _validations(self, timing: Timing, time_s: float) -> int:
        """Return how often validation is measured: so often that it takes a small part of the time."""
        if not timing.validation_s:
            return rules.VALIDATIONS
        return max(1, min(rules.VALIDATIONS, int(FOR_VALIDATION * time_s / timing.validation_s)))
