"""Training by a spec: to a finished run directory, or on from where one was stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from maecli.errors import Fault, SpecError
from maecli.outputs.faults import SKIPPED, faults_csv
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.results import Evaluation
from maecli.run.directory import ENVIRONMENT, RunDirectory
from maecli.run.environment import describe_environment
from maecli.run.open import (
    ask_frozen_encoder,
    default_out,
    introduce,
    make_trainer,
    prepare,
)
from maecli.run.plugins_used import with_plugins
from maecli.run.report import write_run_report
from maecli.run.same_data import same_data
from maecli.run.start import check_trackers, find_start, paths_needed
from maecli.schema import RunSpec
from maecli.storage.files import disk_errors
from maecli.training.evaluation import evaluate, fit_baselines
from maecli.training.tracker import Tracker


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    run: RunDirectory
    evaluation: Evaluation | None
    seconds: float
    faults: Collection[Fault] = ()


def train(
    spec: RunSpec,
    registry: Registry,
    progress: Progress,
    *,
    resume: bool = False,
    overwrite: bool = False,
    verify_data: bool = False,
) -> TrainResult:
    """Run a spec to its end and return what came out; `verify_data`: see `same_data`.

    Raises SpecError for a directory that is not empty, or for a spec that differs from the one to resume.
    """
    if resume and overwrite:
        raise SpecError("--resume keeps the run that is there and --overwrite replaces it; give one of them")
    run = RunDirectory(spec.out or default_out(spec))
    going_on = resume and run.is_run
    if not going_on:
        run.check_free(overwrite, paths_needed(spec, registry))  # before a lock is put there
    with run.lock():
        return _train(run, spec, registry, progress, going_on=going_on, overwrite=overwrite, verify_data=verify_data)


def _train(
    run: RunDirectory,
    spec: RunSpec,
    registry: Registry,
    progress: Progress,
    *,
    going_on: bool,
    overwrite: bool,
    verify_data: bool,
) -> TrainResult:
    """Train in a directory that nobody else writes to."""
    begin = time.monotonic()
    spec = with_plugins(spec, registry, run if going_on else "the given spec", progress.say)
    stored = spec.model_dump(mode="json")
    last = find_start(run, stored, registry, progress.say) if going_on else None
    if not going_on:
        run.check_free(overwrite, paths_needed(spec, registry))
        check_trackers(run, spec, registry)
    prepared = prepare(spec, registry, progress, resuming=last is not None)
    trainer = make_trainer(prepared, run, progress)
    trainer.metadata["samples"] = same_data(prepared, last, run, verify_data, progress.say)
    if last is not None:
        trainer.load(last)
        progress.say(f"resuming {run} at step {trainer.step} of {trainer.total_steps}")
    if going_on:
        run.adopt()
        run.write_spec(stored)
    else:
        run.start(stored, overwrite, paths_needed(spec, registry))
    trainer.metadata["run"] = run.id
    environment = describe_environment(spec, registry, prepared.device, prepared.dtype)
    run.write_json(ENVIRONMENT, environment)
    progress.say(introduce(prepared, trainer))
    if ask_frozen_encoder(trainer):
        progress.say("the features of the frozen encoder were computed once, since nothing is augmented")

    with open_trackers(spec, registry, run, trainer.step, progress.say) as trainer.trackers:
        trainer.fit()
    evaluation = None
    if len(prepared.val.split):
        fit_baselines(prepared.assembly.task, prepared.train, spec.train.batch_size)
        evaluation = evaluate(
            prepared.assembly.task,
            trainer.final_module,
            prepared.val,
            "val",
            spec.train.batch_size,
            prepared.dtype,
        ).model_copy(update={"weights": f"last (step {trainer.step})"})
        run.write_evaluation(evaluation)
    if prepared.faults:
        run.write(SKIPPED, faults_csv(prepared.faults))
    seconds = time.monotonic() - begin + trainer.seconds_before
    run.write_summary(
        {
            "verb": stored["verb"],
            "task": spec.task.name,
            "dataset": spec.dataset.name,
            "steps": trainer.total_steps,
            "seconds": round(seconds, 1),
            "device": environment["device"],
            "precision": environment["precision"],
            "init": prepared.init,
            "train_samples": len(prepared.train.split),
            "finished_at": time.time(),
        }
    )
    write_run_report(run, registry, progress.say)
    return TrainResult(run, evaluation, seconds, prepared.faults)


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
                tracker = plugin(run.path, spec.model_dump(mode="json"), start_step)
            stack.callback(close, tracker)
            run.ledger.own(*sorted(run.files(plugin.files) - before - run.ledger.paths))
            trackers.append(tracker)
        yield trackers
