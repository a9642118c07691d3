"""Training by a spec: to a finished run directory, or on from where one was stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from maecli.errors import SpecError
from maecli.progress import TrainProgress
from maecli.registry import Registry
from maecli.resolve import difference, validate
from maecli.results import Evaluation
from maecli.runs.directory import RunDirectory
from maecli.runs.environment import describe_environment
from maecli.runs.plugins import with_plugins
from maecli.runs.prepare import (
    ask_frozen_encoder,
    default_out,
    introduce,
    make_trainer,
    prepare,
)
from maecli.runs.report import write_run_report
from maecli.runs.same_data import same_data
from maecli.runs.skipped import SKIPPED
from maecli.specs import CHANGEABLE_ON_RESUME, RunSpec
from maecli.storage.files import disk_errors, write_json
from maecli.training.evaluation import evaluate, fit_twins
from maecli.training.tracker import Tracker


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    run: RunDirectory
    evaluation: Evaluation | None
    seconds: float
    skipped: dict[str, str] = field(default_factory=dict)


def train(
    spec: RunSpec,
    registry: Registry,
    progress: TrainProgress,
    *,
    resume: bool = False,
    overwrite: bool = False,
    verify_data: bool = False,
) -> TrainResult:
    """Run a spec to its end and return what came out; `verify_data`: see `same_data`.

    Raises SpecError for a directory that is not empty, or for a spec that differs from the one to resume.
    """
    begin = time.monotonic()
    run = RunDirectory(spec.out or default_out(spec))
    if resume and overwrite:
        raise SpecError("--resume keeps the run that is there and --overwrite replaces it; give one of them")
    going_on = resume and run.is_run
    spec = with_plugins(spec, registry, run if going_on else "the given spec", progress.say)
    stored = spec.model_dump(mode="json")
    if going_on:
        begun = validate(run.read_spec(), stored["verb"], registry)  # fills in keys that are newer than the run
        changed = difference(begun.model_dump(mode="json"), stored, CHANGEABLE_ON_RESUME)
        if changed:
            raise SpecError(f"{run} cannot be resumed with another spec: " + "; ".join(changed))
    else:
        run.check_free(overwrite)
    last = run.checkpoints.pointed("last") if going_on else None
    prepared = prepare(spec, registry, progress, resuming=last is not None)
    trainer = make_trainer(prepared, run, progress)
    trainer.metadata["samples"] = same_data(prepared, last, run, verify_data, progress.say)
    if last is not None:
        trainer.load(last)
        progress.say(f"resuming {run} at step {trainer.step} of {trainer.total_steps}")
    if going_on:
        run.write_spec(stored)
    else:
        run.start(stored, overwrite)
    environment = describe_environment(spec, registry, prepared.device, prepared.dtype)
    write_json(run.path / "environment.json", environment)
    progress.say(introduce(prepared, trainer))
    if ask_frozen_encoder(trainer):
        progress.say("the features of the frozen encoder were computed once, since nothing is augmented")

    with open_trackers(spec, registry, run, trainer.step) as trainer.trackers:
        trainer.fit()
    prepared.skipped.write(run.path / SKIPPED)
    evaluation = None
    if len(prepared.val.split):
        fit_twins(prepared.assembly.task, prepared.train, spec.train.batch_size)
        evaluation = evaluate(
            prepared.assembly.task,
            trainer.final_module,
            prepared.val,
            "val",
            spec.train.batch_size,
            prepared.dtype,
        ).model_copy(update={"weights": f"last (step {trainer.step})"})
        run.write_evaluation(evaluation)
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
    write_run_report(run, registry)
    return TrainResult(run, evaluation, seconds, prepared.skipped.files)


@contextlib.contextmanager
def open_trackers(spec: RunSpec, registry: Registry, run: RunDirectory, start_step: int) -> Iterator[Sequence[Tracker]]:
    """Give the run's trackers; they are closed whatever happens."""

    def close(tracker: Tracker) -> None:
        with disk_errors(run.path):
            tracker.close()

    with contextlib.ExitStack() as stack:
        trackers = []
        for name in spec.trackers:
            plugin = registry.tracker(name)
            with disk_errors(run.path):
                tracker = plugin(run.path, spec.model_dump(mode="json"), start_step)
            stack.callback(close, tracker)
            trackers.append(tracker)
        yield trackers
