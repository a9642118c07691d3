"""What a run would take: a few of its steps are done and timed, some of its validation; nothing is written."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from maecli.hardware import memory_used
from maecli.training.evaluation import measure
from maecli.training.frozen import ask_frozen_encoder
from maecli.training.loop.pace import Durations
from maecli.training.loop.trainer import Trainer

STEPS = 5, 60
"""How many steps are timed, at least and at most: the first ones find their batches ready, read ahead."""
ENOUGH = 14, 1.0
"""Steps, and the seconds that they took together, after which the pace is known."""
STALLED = 3.0
"""Times the median, above which a step was held up by something else; less is waiting for data, in bursts."""
BATCHES = 8
"""How many batches of the validation split are timed, at most."""
BYTES_PER_S = 200e6
"""How fast a checkpoint is written and hashed, about: none is written to find out."""
END_S = 2.0
"""What is drawn and written after the last step takes, about, beside measuring."""
CALIBRATIONS = {"pretrain": 0, "finetune": 1}
"""How often the validation split is gone over to calibrate, beside being measured at the end."""
SECONDS = 20.0
"""After this long the least number of steps is enough."""


@dataclass(frozen=True)
class Timing:
    """Seconds of the parts of a run."""

    first_s: float
    """What is done once, before the first step."""
    step_s: float
    """Of a step that finds the samples which stay in memory."""
    validation_s: float
    save_s: float
    memory_bytes: int
    """The most that was held."""
    first_epoch_s: float = 0.0
    """What the first epoch takes beside, in which no sample is in memory."""
    steps_per_epoch: int = 1
    end_s: float = END_S
    """What follows the last step."""

    def durations(self, steps: int) -> Durations:
        """Return what the parts take that come again and again, a step in the mean of so many."""
        return Durations(self.steps_s(steps) / steps, self.validation_s, self.save_s)

    def total_s(self, steps: int, validations: int, saves: int) -> float:
        """Return what a run of so many of each takes, to its page."""
        return self.training_s(steps, validations, saves) + self.end_s

    def training_s(self, steps: int, validations: int, saves: int) -> float:
        """Return what so many of each take."""
        return self.first_s + self.steps_s(steps) + validations * self.validation_s + saves * self.save_s

    def steps_s(self, steps: int) -> float:
        """Return what so many steps take, from the first one on."""
        return steps * self.step_s + self.first_epoch_s * min(1.0, steps / self.steps_per_epoch)


def time_run(trainer: Trainer, seconds: float = SECONDS) -> Timing:
    """Do some steps of a trainer that saves nothing, and return what the parts of its run take.

    After so many seconds the least number of steps is enough.
    """
    spec = trainer.spec
    trainer.module.train()
    begin = time.monotonic()
    sizes = [len(loader.split) for loader in (trainer.train_loader, trainer.val_loader) if loader is not None]
    limit = STEPS[0] * spec.train.batch_size
    once = ask_frozen_encoder(trainer, limit)
    once_s = time.monotonic() - begin
    times = _step_times(trainer, min(STEPS[1], trainer.schedule.total_steps - trainer.step), seconds)
    reading_step_s = pace(times)
    kept = trainer.train_loader.share_kept
    again_s = pace(_step_times(trainer, len(times), seconds)) if kept else reading_step_s
    step_s = kept * min(again_s, reading_step_s) + (1 - kept) * reading_step_s
    begin_s = once_s * sum(sizes) / sum(min(limit, size) for size in sizes) if once else 0.0
    validation_s = _validation_s(trainer)
    return Timing(
        first_s=begin_s + max(0.0, times[0] - reading_step_s),  # workers start with the first step
        step_s=step_s,
        validation_s=validation_s,
        save_s=_save_s(trainer),
        memory_bytes=memory_used(trainer.device),
        first_epoch_s=(reading_step_s - step_s) * trainer.schedule.steps_per_epoch,
        steps_per_epoch=trainer.schedule.steps_per_epoch,
        end_s=END_S + CALIBRATIONS[trainer.spec.verb] * validation_s,
    )


def _step_times(trainer: Trainer, most: int, seconds: float) -> list[float]:
    """Return what each of so many steps takes, or of fewer that are enough, always the next of the run."""
    spec, first, times = trainer.spec, trainer.step, []
    batches = trainer.train_loader.train_batches(
        spec.augment, spec.train.batch_size, first, first + most, trainer.schedule.batching.keep
    )
    with contextlib.closing(batches):
        begin = time.monotonic()
        for batch in batches:
            trainer.train_step(batch)
            trainer.check_finite()  # waits for the device
            trainer.step += 1
            times.append(time.monotonic() - begin)
            begin = time.monotonic()
            if _is_known(times, seconds):
                break
    trainer.step = first
    return times


def _is_known(times: Sequence[float], seconds: float) -> bool:
    """Whether enough steps were timed: as they are fast, or after so many seconds."""
    num, total = len(times), sum(times)
    return (num >= STEPS[0] and total > seconds) or (num >= ENOUGH[0] and total > ENOUGH[1])


def pace(times: Sequence[float]) -> float:
    """Return the mean of the later ones of some steps' times, in which one that was held up counts little."""
    later = times[len(times) // 2 :]
    most = STALLED * statistics.median(later)
    return statistics.mean(min(each, most) for each in later)


def _validation_s(trainer: Trainer) -> float:
    """Return what measuring the validation split takes, by some of its batches; 0 where there is none."""
    loader, size = trainer.val_loader, trainer.spec.train.batch_size
    if loader is None or not len(loader.split):
        return 0.0
    num = min(len(loader.split), BATCHES * size)
    begin = time.monotonic()
    measure(trainer.task, trainer.learner.final_module, loader, size, trainer.dtype, thorough=False, limit=num)
    return (time.monotonic() - begin) * len(loader.split) / num


def _save_s(trainer: Trainer) -> float:
    """Return what a checkpoint takes: the weights, two moments of each, and their average where there is one."""
    num_bytes = sum(parameter.numel() * parameter.element_size() for parameter in trainer.module.parameters())
    return num_bytes * (3 + (trainer.learner.average is not None)) / BYTES_PER_S
