"""Training by a spec: to a finished run directory, or on from where one was stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from maecli.data.card import SplitName
from maecli.data.members import members_csv, members_of
from maecli.errors import DamagedFile, Fault, Interrupted
from maecli.hardware import describe_device
from maecli.outputs.faults import SKIPPED, faults_csv
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.reports.payoff import Payoff
from maecli.results import Evaluation
from maecli.run.begin.balance import balance_lines
from maecli.run.begin.cautions import cautions
from maecli.run.begin.extend import Parent, parent_of, replay
from maecli.run.begin.launch import ANEW, Launch, find_place
from maecli.run.begin.start import check_trackers, find_start
from maecli.run.calibrate import calibrate_run
from maecli.run.compare.arms import claim_companions
from maecli.run.data.begun import begun_in
from maecli.run.data.leaks import leak_of
from maecli.run.data.same_data import same_data, test_samples
from maecli.run.data.shares import useless_shares
from maecli.run.data.what_was_read import what_was_read
from maecli.run.directory import ENVIRONMENT, SPLITS, RunDirectory, Summary
from maecli.run.environment import describe_environment
from maecli.run.evaluate import measure
from maecli.run.open import Built, Data, open_run, with_paths
from maecli.run.pages.curves import history
from maecli.run.plugins_used import with_plugins
from maecli.run.report import describe_run, next_commands, write_run_report
from maecli.run.restore import card_of
from maecli.run.suited import shell
from maecli.run.weights.initial import start_encoder
from maecli.schema import RunSpec
from maecli.storage.files import disk_errors
from maecli.storage.lock import locked
from maecli.storage.shareable import shareable
from maecli.text import number_of
from maecli.training.frozen import ask_frozen_encoder
from maecli.training.optim import peak_rate
from maecli.training.pace import Durations
from maecli.training.tracker import Tracker
from maecli.training.trainer import Trainer

RELEVANT = 0.02
"""Share of an epoch that is left out, from which it is told."""
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
    run, going_on = place.run, place.going_on
    with locked(run.path):
        begin = time.monotonic()
        spec = with_plugins(spec, registry, run if going_on else "the given spec", progress.say)
        stored = spec.model_dump(mode="json")
        last = find_start(run, stored, registry, progress.say) if going_on else None
        if not going_on:
            place.check_free()
            check_trackers(run, spec, registry)
        parent = parent_of(spec, registry, progress.say) if last is None else None
        source, start_from = (parent.run, parent.checkpoint) if parent is not None else (run, last)
        begun = begun_in(source, spec, registry, TOLD_ON_RESUME) if going_on or parent is not None else None
        card = card_of(start_from) if start_from is not None and begun is not None else None
        built = open_run(spec, registry, progress.say, begun, card, opened)
        for line in useless_shares(spec, built.data.dataset):
            progress.say(line)
        start = start_encoder(built, progress.say, resuming=start_from is not None)
        built.spec = spec = with_paths(spec, registry)
        trainer = make_trainer(built, run, progress)
        if durations is not None:
            trainer.expect(durations)
        done = "resumed" if parent is None else "extended"
        trainer.metadata["samples"] = same_data(built, start_from, source, launch.verify_data, progress.say, done)
        finished = None
        if last is not None:
            trainer.load(last)
            finished = _as_finished(built, trainer, run)
            if finished is None:
                progress.say(f"resuming {run} at step {trainer.step} of {trainer.total_steps}")
            else:
                progress.say(f"{run} is finished, so nothing is left to do. {describe_run(run)}")
        elif parent is not None:
            trainer.extend(parent.checkpoint)
        if going_on:
            run.adopt()
            run.write_spec(spec.model_dump(mode="json"))
        else:
            place.start(spec)
        claim_companions(run, companions)
        if finished is not None:
            return finished
        if parent is not None and begun is not None:
            run.write(SPLITS, members_csv(begun.members))
        if last is None and begun is None and (members := members_of(built.data.dataset, built.task.fields)):
            run.write(SPLITS, members_csv(members))
            leak = leak_of(spec, built.data.dataset, members["test"], registry) if spec.data.fold is None else None
            if leak:  # of folds it is told once, before the first
                progress.say(f"{leak}; pretrain on the splits of today to rule that out")
            begun = begun_in(run, spec, registry)
        if begun is not None:
            trainer.metadata["samples"]["test"] = test_samples(built, start_from)
        trainer.metadata["run"] = run.id
        if spec.extend is not None:
            start = f"goes on from {spec.extend} at step {trainer.begin:,}"
        return _train(built, trainer, run, start, begin, planned, parent)


def _as_finished(built: Built, trainer: Trainer, run: RunDirectory) -> TrainResult | None:
    """Return what came of a run that was finished before, as it stands there; None where something is left to do."""
    try:
        summary, evaluation = run.summary(), run.evaluation("val")
    except DamagedFile:
        return None
    measured = evaluation is not None or not len(built.loader("val").split)
    if summary is None or not measured or not trainer.is_done or trainer.validation_due:
        return None
    longer = shell("mae", summary.verb, "--extend", run, "--epochs", trainer.more_epochs)
    following = (longer, "train it longer, in a directory of its own"), *next_commands(run, built.data.registry)
    return TrainResult(run, evaluation, summary.seconds, built.data.faults, following, ending=summary.ending)


def _train(
    built: Built,
    trainer: Trainer,
    run: RunDirectory,
    start: str,
    begin: float,
    planned: str,
    parent: Parent | None = None,
) -> TrainResult:
    """Train in a directory that nobody else writes to, and measure what came out."""
    spec, registry, progress = built.spec, built.data.registry, trainer.progress
    environment = describe_environment(spec, registry, built.device, built.dtype)
    extends = parent.facts if parent is not None else run.environment(progress.say).get("extends")
    run.write_json(ENVIRONMENT, environment | ({"extends": extends} if extends else {}))
    progress.say(introduce(built, trainer, start, planned))
    if ask_frozen_encoder(trainer):
        progress.say("the features of the frozen encoder were computed once, since nothing is augmented")

    with open_trackers(spec, registry, run, trainer.step, progress.say) as trainer.trackers:
        if parent is not None and not history(run, registry, progress.say):
            replay(trainer.trackers, history(parent.run, registry, progress.say), trainer.begin)
        trainer.fit()
    if ending := trainer.ending():
        progress.say(ending)
    evaluation = None
    if len(built.loader("val").split):
        with progress.working("measuring on val"), interruptible(trainer):
            calibrate_run(built, trainer.final_module, run.checkpoints)
            evaluation = measure(built, trainer.final_module, "val", f"last (step {trainer.step})")
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
            train_samples=len(built.loader("train").split),
            ending=trainer.ending(),
            finished_at=time.time(),
        )
    )
    write_run_report(run, registry, progress.say)
    return TrainResult(run, evaluation, seconds, faults, next_commands(run, registry), ending=trainer.ending())


@contextlib.contextmanager
def interruptible(trainer: Trainer) -> Iterator[None]:
    """Say, where Ctrl-C ends what follows training, that this is saved. Raises Interrupted then."""
    saved = Interrupted(f"saved at step {trainer.step}, the last; --resume goes on with what follows training")
    if trainer.stop_signal is not None:  # it came too late for training
        raise saved
    try:
        yield
    except KeyboardInterrupt:
        raise saved from None


@contextlib.contextmanager
def stopped_by_hand(run: RunDirectory) -> Iterator[None]:
    """Say, where Ctrl-C ends the block, what is there of a run and how it goes on. Raises Interrupted then."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {_what_is_there(run)}") from None


def _what_is_there(run: RunDirectory) -> str:
    if not run.is_run:
        return "nothing was written"
    if run.is_finished:
        return f"{run} is finished, and --resume does what follows it"
    with contextlib.suppress(DamagedFile):
        if (last := run.checkpoints.pointed("last")) is not None:
            return f"{run} is saved at step {last.step}, and --resume goes on from there"
    return f"{run} has its settings and no trained weights yet, and --resume goes on with it"


def make_trainer(built: Built, run: RunDirectory | None, progress: Progress) -> Trainer:
    """Return the trainer of a run, which saves into its directory; without one it saves nothing."""
    train, val = built.loader("train"), built.loader("val")
    train.chances = built.data.chances()
    checkpoints = run.checkpoints if run else None
    return Trainer(
        built.task, built.module, built.spec, train, val, built.dtype, checkpoints, built.metadata(), (), progress
    )


def introduce(built: Built, trainer: Trainer, start: str, planned: str = "") -> str:
    """Return the facts of a run before it starts, one per line, and how it was planned if it was."""
    spec, parameters = built.spec, list(built.module.parameters())
    num_train, num_val = len(built.loader("train").split), len(built.loader("val").split)
    model = f"{spec.model.name}, {sum(p.numel() for p in parameters):,} parameters"
    if spec.train.freeze:
        model += f", of which {sum(p.numel() for p in parameters if p.requires_grad):,} learn"
    size = "×".join(str(length) for length in built.preprocess.img_size)
    lines = [
        f"data    {built.card.title}: {num_train:,} train, {num_val:,} val",
        *(f"        {line}" for line in what_was_read(built.card, len(built.data.faults))),
        f"model   {model}, {size} × {built.preprocess.in_chans} channels, {start}",
    ]
    if spec.data.labels is not None:
        lines.append(f"labels  {built.data.training.description}")
    lines += balance_lines(built)
    if spec.train.freeze and spec.init is None:
        lines.append("baseline    without --init the frozen encoder is random: what a pretrained one has to beat")
    lines += batch_lines(trainer)
    if (patience := spec.train.patience) is not None:
        lines.append(f"        stops after {number_of(patience, 'validation')} without a better metric on val")
    if planned:
        lines.append(f"plan    {planned}")
    unit = built.preprocess.modality.unit
    notes = cautions(spec.train, num_train, unit, trainer.steps_per_epoch, trainer.total_steps)
    lines += [f"note    {note}" for note in notes]
    lines.append(f"device  {describe_device(built.device)}, {str(built.dtype).removeprefix('torch.')}")
    return "\n".join(lines)


def batch_lines(trainer: Trainer) -> list[str]:
    """Return how many steps there are, of how many samples, at which rate, and what of an epoch they leave out."""
    batching, asked, unit = trainer.batching, trainer.spec.train, trainer.train_loader.preprocess.modality.unit
    size, dropped = batching.batch_size, batching.num_dropped
    rate = f"{peak_rate(trainer.schedule):.3g} (base_lr {asked.base_lr:g} × {size} / 256)"
    lines = [f"run     {number_of(trainer.total_steps - trainer.begin, 'step')} of {size}, learning rate {rate}"]
    if batching.num_samples < asked.batch_size:
        lines.append(f"        a batch of {asked.batch_size} is more than there are, so every step sees all {unit}")
    if dropped >= RELEVANT * batching.num_samples:
        lines.append(
            f"        each epoch leaves out {dropped:,} of {batching.num_samples:,} {unit}, others each time, since "
            f"batches of {size} do not divide it; --set train.last_batch=keep takes them"
        )
    return lines


@contextlib.contextmanager
def open_trackers(
    spec: RunSpec, registry: Registry, run: RunDirectory, start_step: int, say: Callable[[str], None]
) -> Iterator[Sequence[Tracker]]:
    """Give the run's trackers; they are closed whatever happens. `say` is told what they cannot read back."""

    def close(tracker: Tracker) -> None:
        with disk_errors(run.path):
            tracker.close()

    with contextlib.ExitStack() as stack:
        trackers = []
        for name in spec.trackers:
            plugin = registry.tracker(name)
            for problem in plugin.problems(run.path):
                say(problem)
            run.ledger.claim(*(name for name in plugin.files if not set("*?[/") & set(name)))
            before = run.files(plugin.files)
            with disk_errors(run.path):
                tracker = plugin(run.path, shareable(spec.model_dump(mode="json")), start_step)
            stack.callback(close, tracker)
            run.ledger.own(*sorted(run.files(plugin.files) - before - run.ledger.paths))
            trackers.append(tracker)
        yield trackers
