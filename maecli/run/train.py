"""Training by a spec: to a finished run directory, or on from where one was stopped."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from maecli.data.card import SplitName
from maecli.data.views.members import members_csv, members_of
from maecli.errors import DamagedFile, Fault
from maecli.hardware import forget_peak, memory_used
from maecli.outputs.faults import SKIPPED, faults_csv
from maecli.parallel.environment import note_begun
from maecli.parallel.lead import world
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.reports.payoff import Payoff
from maecli.results import Evaluation
from maecli.run.begin.extend import Parent, replay
from maecli.run.begin.introduce import introduce
from maecli.run.begin.launch import ANEW, Launch, find_place
from maecli.run.begin.micro_batch import settle_micro_batch
from maecli.run.begin.origin import Origin, find_origin
from maecli.run.card.write import CARD
from maecli.run.compare.arms import claim_companions
from maecli.run.data.begun import Begun, begun_in
from maecli.run.data.leaks import leak_of
from maecli.run.data.same_data import same_data, test_samples
from maecli.run.data.shares import useless_shares
from maecli.run.directory import ENVIRONMENT, REPORT, SPLITS, RunDirectory, Say, Summary
from maecli.run.environment import describe_environment
from maecli.run.open import Built, Data, open_run, with_paths
from maecli.run.pages.curves import history
from maecli.run.plugins_used import with_plugins
from maecli.run.report import describe_run, next_commands, write_run_report
from maecli.run.restore import card_of
from maecli.run.suited import shell
from maecli.run.together import Help, make_trainer, measure_end
from maecli.run.trackers import open_trackers
from maecli.run.weights.initial import start_encoder
from maecli.schema import RunSpec
from maecli.storage.shareable import shareable
from maecli.training.base import FolderOnBase
from maecli.training.frozen import ask_frozen_encoder
from maecli.training.loop.pace import Durations
from maecli.training.loop.shares import check_shares
from maecli.training.loop.trainer import Trainer

TOLD_ON_RESUME: tuple[SplitName, ...] = ("test",)
"""Splits of which it is told what is gone: without what it learns and chooses by, a run does not go on."""


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    run: RunDirectory
    evaluation: Evaluation | None
    seconds: float
    faults: Collection[Fault] = ()
    next_commands: Sequence[tuple[str, str]] = ()
    """What usually follows, with what it does."""
    payoff: Payoff | None = None
    """How it compares with its companions."""
    ending: str = ""
    """Why it stopped before its last step; empty where it did not."""
    finished: bool = True
    """Whether nothing is left to do; else its time was up, and it can be resumed."""
    folds: Mapping[str, Evaluation] = field(default_factory=dict)
    """Of a cross-validation, whose evaluation is of all folds: the run of each fold, and what it found."""


def train(
    spec: RunSpec,
    registry: Registry,
    progress: Progress,
    launch: Launch = ANEW,
    *,
    companions: Sequence[str] = (),
    planned: str = "",
    opened: Data | None = None,
    durations: Durations | None = None,
) -> TrainResult:
    """Run a spec to its end and return what came out.

    `planned` is its plan in words, `opened` the data that the plan opened, and `durations` what it measured.
    `companions` are noted as those that the run is to have, see `maecli.run.compare`.

    Raises SpecError for a directory that is not empty, or for a spec that differs from the one to resume.
    """
    place = find_place(spec, registry, launch)  # before a lock is put there
    run, going_on, say = place.run, place.going_on, progress.say
    with launch.hold(run.path, say) as unkept:
        begin = time.monotonic()
        if unkept:
            say(unkept)
        spec = with_plugins(spec, registry, run if going_on else "the given spec", say)
        origin = find_origin(place, spec, registry, say)
        has_begun = going_on or origin.parent is not None
        begun = begun_in(origin.run, spec, registry, TOLD_ON_RESUME) if has_begun else None
        card = card_of(origin.checkpoint) if origin.checkpoint is not None and begun is not None else None
        built = open_run(spec, registry, say, begun, card, opened)
        for line in useless_shares(spec, built.data.dataset):
            say(line)
        start = start_encoder(built, say, resuming=origin.checkpoint is not None)
        built.spec = spec = with_paths(built.spec, registry)
        built.spec = spec = settle_micro_batch(built, run if going_on else None, progress)
        if (base := origin.base or built.base) is not None:
            run.checkpoints = FolderOnBase(run.checkpoints, base)
        trainer = make_trainer(built, run, progress)
        trainer.stop.until = launch.until
        check_shares(trainer.schedule.num_samples(0), world().size)
        if durations is not None:
            trainer.telling.expect(durations)
        done = "resumed" if origin.parent is None else "extended"
        samples = same_data(built, origin.checkpoint, origin.run, launch.verify_data, say, done)
        finished = _take_up(origin, built, trainer, run)
        if going_on:
            run.adopt()
            run.write_spec(spec.model_dump(mode="json"))
        else:
            place.start(spec)
        note_begun()
        claim_companions(run, companions)
        if finished is not None:
            if not all((run.path / name).exists() for name in (REPORT, CARD)):  # it was killed before they were written
                write_run_report(run, registry, say)
            return finished
        if _keep_members(origin, begun, built, run, say) is not None:
            samples["test"] = test_samples(built, origin.checkpoint)
        trainer.metadata |= {"samples": samples, "run": run.id}
        if spec.extend is not None:
            start = f"goes on from {spec.extend} at step {trainer.begin:,}"
        helpers = Help(spec, begun, card)
        return _train(built, trainer, run, start, begin, planned, origin.parent, helpers)


def _take_up(origin: Origin, built: Built, trainer: Trainer, run: RunDirectory) -> TrainResult | None:
    """Let a trainer go on where the origin ended; return what came of a run that was finished before."""
    say = trainer.telling.progress.say
    if origin.parent is not None:
        assert origin.checkpoint is not None
        trainer.extend(origin.checkpoint)
    if origin.last is None:
        return None
    trainer.load(origin.last)
    finished = _as_finished(built, trainer, run)
    if finished is None:
        say(f"resuming {run} at step {trainer.step} of {trainer.schedule.total_steps}")
    else:
        say(f"{run} is finished, so nothing is left to do. {describe_run(run)}")
    return finished


def _keep_members(origin: Origin, begun: Begun | None, built: Built, run: RunDirectory, say: Say) -> Begun | None:
    """Write which samples a run begins with, where it is new or extends another; return them, as far as known."""
    if begun is not None:
        if origin.parent is not None:
            run.write_parts(SPLITS, members_csv(begun.members))
        return begun
    members = members_of(built.data.dataset, built.task.fields) if origin.last is None else {}
    if not members:
        return None
    run.write_parts(SPLITS, members_csv(members))
    spec, registry = built.spec, built.data.registry
    leak = leak_of(spec, built.data.dataset, members["test"], registry) if spec.data.fold is None else None
    if leak:  # of folds it is told once, before the first
        say(f"{leak}; pretrain on the splits of today to rule that out")
    return begun_in(run, spec, registry)


def _as_finished(built: Built, trainer: Trainer, run: RunDirectory) -> TrainResult | None:
    """Return what came of a run that was finished before, as it stands there; None where something is left to do."""
    try:
        summary, evaluation = run.summary(), run.evaluation("val")
    except DamagedFile:
        return None
    measured = evaluation is not None or not len(built.loader("val").split)
    if summary is None or not measured or not trainer.is_done or trainer.validation_due:
        return None
    longer = shell("mae", summary.verb, "--extend", run, "--epochs", trainer.schedule.more_epochs(trainer.step))
    following = (longer, "train it longer, in a directory of its own"), *next_commands(run, built.data.registry)
    return TrainResult(run, evaluation, summary.seconds, built.data.faults, following, ending=summary.ending)


def _train(
    built: Built,
    trainer: Trainer,
    run: RunDirectory,
    start: str,
    begin: float,
    planned: str,
    parent: Parent | None,
    helpers: Help,
) -> TrainResult:
    """Train in a directory that nobody else writes to, and measure what came out."""
    spec, registry, progress = built.spec, built.data.registry, trainer.telling.progress
    environment = describe_environment(spec, registry, built.device, built.dtype, world().size)
    extends = parent.facts if parent is not None else run.environment(progress.say).get("extends")
    run.write_json(ENVIRONMENT, environment | ({"extends": extends} if extends else {}))
    progress.say(introduce(built, trainer, start, planned))
    held = forget_peak(built.device)
    if ask_frozen_encoder(trainer):
        progress.say("the features of the frozen encoder were computed once, since nothing is augmented")

    with open_trackers(spec, registry, run, trainer.step, progress.say) as trainer.trackers:
        if parent is not None and not history(run, registry, progress.say):
            replay(trainer.trackers, history(parent.run, registry, progress.say), trainer.begin)
        helpers.call(built, trainer)
        trainer.fit()
    memory = memory_used(built.device) - held if held is not None else 0
    if ending := trainer.ending():
        progress.say(ending)
    evaluation = None
    if len(built.loader("val").split):
        with progress.working("measuring on val"):
            evaluation = trainer.stoppable(lambda: measure_end(built, trainer, run.checkpoints))
        run.write_evaluation(evaluation)
    faults = built.data.faults
    if faults:
        run.write(SKIPPED, faults_csv(faults))
    seconds = time.monotonic() - begin + trainer.seconds_before
    run.write_summary(
        Summary(
            verb=spec.verb,
            task=spec.task.name,
            dataset=spec.dataset.name,
            steps=trainer.step,
            seconds=round(seconds, 1),
            device=environment["device"],
            precision=environment["precision"],
            init=start,
            parent=str(shareable(str(spec.extend))) if spec.extend is not None else "",
            train_samples=len(split := built.loader("train").split) - built.data.num_broken(split),
            trained_parameters=sum(each.numel() for each in built.module.parameters() if each.requires_grad),
            peak_memory=memory,
            ending=trainer.ending(),
            finished_at=max(time.time(), 0.0),  # a clock may be set to before 1970
        )
    )
    write_run_report(run, registry, progress.say)
    return TrainResult(run, evaluation, seconds, faults, next_commands(run, registry), ending=trainer.ending())
