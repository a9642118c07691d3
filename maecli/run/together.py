"""Training in several processes: those beside the first open the same data, learn and measure, and write nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from maecli.data.card import DataCard
from maecli.errors import DataError
from maecli.parallel.environment import note_begun
from maecli.parallel.lead import call, world
from maecli.progress import Progress
from maecli.registry import registry
from maecli.results import Evaluation
from maecli.run.calibrate import calibrate_run
from maecli.run.data.begun import Begun
from maecli.run.directory import RunDirectory
from maecli.run.evaluate import measure
from maecli.run.open import Built, open_run
from maecli.schema import RunSpec
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.frozen import ask_frozen_encoder
from maecli.training.loop.trainer import Trainer


@dataclass(frozen=True)
class Help:
    """What other processes need to know of a training to take part in it: see `open_run`."""

    spec: RunSpec
    begun: Begun | None
    card: DataCard | None

    def call(self, built: Built, trainer: Trainer) -> None:
        """Call the others into the training that this process is about to begin, and wait until they have its data."""
        call(help_train, self)
        _join(built, trainer)


def help_train(help: Help) -> None:
    """Do the part of a process beside the first one in a training, from its first step to the measuring at its end."""
    note_begun()  # the next first process may be one of this machine
    with world().together():
        built = open_run(help.spec, registry(), lambda _: None, help.begun, help.card)
        trainer = make_trainer(built, None, Progress())
    _join(built, trainer)
    ask_frozen_encoder(trainer)
    trainer.fit()
    if len(built.loader("val").split):
        trainer.stoppable(lambda: measure_end(built, trainer, None))


def measure_end(built: Built, trainer: Trainer, checkpoints: CheckpointFolder | None) -> Evaluation:
    """Return what a trained module makes of the validation samples; in all processes, `checkpoints` in the first one.

    It is calibrated before. Raises Stopped, of several processes in all, where `trainer.stop` is asked for.
    """
    processes, module, stop = trainer.world, trainer.learner.final_module, trainer.stop
    alone = processes.size == 1
    processes.same(module.buffers())

    def calibrate() -> None:
        if checkpoints is not None:
            calibrate_run(built, module, checkpoints)

    with processes.together():
        if alone:  # a signal is raised as it comes
            calibrate()
        else:
            stop.at_once(calibrate)
    built.task.calibration = processes.first(lambda: built.task.calibration)
    weights = f"last (step {trainer.step})"
    return measure(built, module, "val", weights, world=processes, stopped=lambda: stop.asked)


def make_trainer(built: Built, run: RunDirectory | None, progress: Progress) -> Trainer:
    """Return the trainer of a run, which saves into its directory; without one it saves nothing."""
    train, val = built.loader("train"), built.loader("val")
    train.chances = built.data.chances()
    checkpoints = run.checkpoints if run else None
    return Trainer(
        built.task, built.module, built.spec, train, val, built.dtype, checkpoints, built.metadata(), (), progress
    )


def _join(built: Built, trainer: Trainer) -> None:
    """Begin with the weights of the first process, once all have found the same samples."""
    processes = world()
    if processes.size == 1:
        return
    samples = _digest(built)
    first = processes.first(lambda: samples)
    with processes.together():
        if samples != first:
            raise DataError(
                f"process {processes.rank} of {processes.size} finds other samples than process 0; all of them have to "
                "see the same data"
            )
    trainer.join(processes)


def _digest(built: Built) -> str:
    keys = (key for name in ("train", "val") for key in (name, *built.loader(name).split.keys))
    digest = hashlib.blake2b(digest_size=16)
    for key in keys:
        digest.update(f"{key}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
