"""The one training loop."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.data.randomness import derive_seed
from maecli.errors import (
    Interrupted,
    MaeError,
    NotFiniteError,
    OutOfMemory,
    SpecError,
    TimeIsUp,
)
from maecli.loading.loader import Loader
from maecli.parallel.world import LostProcess, World
from maecli.parallel.wrap import own_parts
from maecli.progress import Progress
from maecli.results import Metric
from maecli.schema import RunSpec
from maecli.storage.files import disk_errors, sync
from maecli.text import number_of
from maecli.training.checkpoint import STATE, Checkpoint, Snapshot
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.evaluation import measure, nothing_read
from maecli.training.loop.fitting import Lack, lacking, smaller_that_fits
from maecli.training.loop.learner import RAW, Learner, Tensors
from maecli.training.loop.saved import with_what_is_saved
from maecli.training.loop.schedule import Schedule
from maecli.training.loop.shares import micro_batches
from maecli.training.loop.stopping import ALARM, Stop, Stopped, set_alarm
from maecli.training.loop.telling import Telling
from maecli.training.saving import save_together
from maecli.training.task import Task
from maecli.training.tracker import Tracker

T = TypeVar("T")


class Trainer:
    """Runs optimizer steps for a task's module and keeps everything that a restart needs.

    What step n does is a function of the spec, the weights and n: samples and their augmentation follow from (seed,
    epoch, sample), torch's own generator is seeded for every step. So no generator state has to be saved.
    """

    def __init__(
        self,
        task: Task[Any],
        module: nn.Module,
        spec: RunSpec,
        train: Loader,
        val: Loader | None,
        dtype: torch.dtype,
        checkpoints: CheckpointFolder | None = None,
        metadata: Mapping[str, Any] | None = None,
        trackers: Sequence[Tracker] = (),
        progress: Progress | None = None,
    ) -> None:
        self.task, self.spec = task, spec
        self.train_loader, self.val_loader = train, val if val is not None and len(val.split) else None
        self.device, self.dtype = train.device, dtype
        self.checkpoints, self.metadata = checkpoints, dict(metadata or {})
        self.trackers = trackers

        self.schedule = Schedule(spec, len(train.split), len(self.val_loader.split) if self.val_loader else 0)
        if spec.train.patience is not None and self.val_loader is None:
            raise SpecError(
                f"train.patience ({spec.train.patience}) ends a run by its validations, and there is no val split; "
                "leave out --patience, or give data with one"
            )
        self.telling = Telling(spec, self.schedule, train.preprocess, checkpoints is not None, progress or Progress())
        self.learner = Learner(module, spec, self.device, dtype)
        micro = spec.train.micro_batch_size
        self.micro_batch_size = micro if isinstance(micro, int) else None
        self.stop = Stop()

        self.step = self.begin = 0
        """The step that is next, and the one that this run began with: not 0 where it goes on from another run."""
        self.best: float | None = None
        self.stale = 0
        """Validations since the best one, as `train.patience` counts them."""
        self.monitored = ""
        """What the metric that is watched is called; empty before the first validation."""
        self.loss_sum = torch.zeros((), device=self.device)
        self.loss_steps = 0
        self.bad_step = torch.full((), -1, dtype=torch.int64, device=self.device)
        self.validation_due = False
        """Whether the validation of this step was begun and not finished."""
        self.seconds_before = 0.0
        """What earlier attempts at this run took, up to the checkpoint that it continues from."""
        self._saved_step = 0  # there is nothing to save before the first one
        self._has_saved = False
        """Whether this process saved anything."""
        self._began = time.monotonic()

    @property
    def module(self) -> nn.Module:
        return self.learner.module

    @property
    def world(self) -> World:
        return self.learner.world

    @property
    def out_of_patience(self) -> bool:
        """Whether as many validations were no better as the run was to wait for."""
        patience = self.spec.train.patience
        return patience is not None and self.stale >= patience

    @property
    def is_done(self) -> bool:
        return self.step >= self.schedule.total_steps or self.out_of_patience

    def ending(self) -> str:
        """Return in words that, and why, the run stopped before its last step; empty where it did not."""
        if not self.out_of_patience or self.step >= self.schedule.total_steps:
            return ""
        epoch = self.schedule.epoch(self.step)
        return (
            f"stopped at epoch {epoch} of {self.spec.train.epochs}: no better {self.monitored} on val for "
            f"{number_of(self.stale, 'validation')}; figures are of epoch {epoch}'s weights"
        )

    def fit(self) -> None:
        """Run optimizer steps from `self.step` to the last, or until `train.patience` is over.

        Raises NotFiniteError when the loss is no number, Interrupted after saving when a signal asks to stop, and
        whatever ends the reading of data, after saving what is finished; TimeIsUp after saving in time for `stop`.
        """
        spec, world, schedule, telling = self.spec, self.world, self.schedule, self.telling
        self.learner.spread()
        batches = self.train_loader.train_batches(
            spec.augment,
            spec.train.batch_size,
            self.step,
            schedule.total_steps,
            schedule.batching.keep,
            part=(world.rank, world.size),
        )
        self.module.train()
        telling.clock.start()
        telling.pace.start()
        begun = False
        with (
            self.stop.listen(telling.progress.say, self._last_moment),
            telling.progress,
            contextlib.closing(batches),
        ):
            self._tell(telling.show, self.step)
            if self.validation_due:
                self.save(self._validate_and_log())
            while not self.is_done:
                with telling.clock.waiting():
                    batch = self._read(lambda: next(batches), in_step=begun)
                self._step_within_memory(batch)
                telling.clock.add(schedule.num_samples(self.step))
                self.step += 1
                begun = True
                telling.pace.stepped()
                if not self.stop.asked and time.monotonic() > self._last_moment:
                    self.stop.signal = ALARM
                if schedule.is_due(self.step, spec.log_every_steps):
                    self.log()
                self._tell(telling.show, self.step)
                improved = schedule.is_due(self.step, schedule.validates_every) and self._validate_and_log()
                stop, must_save = self._agreed()
                if improved or schedule.is_due(self.step, schedule.saves_every) or must_save:
                    self.save(improved)
                if stop and not self.is_done:
                    raise self.interrupted()

    def train_step(self, batch: Batch) -> None:
        """Do one optimizer step; gradients are summed over micro-batches."""
        # of a process beside the first it is another one, since its samples are others
        rank, num = self.world.rank, self.schedule.num_samples(self.step)
        torch.manual_seed(derive_seed(self.spec.seed, "step", self.step, *([rank] if rank else [])))
        batch.progress = self.step / self.schedule.total_steps
        micros = micro_batches(batch, num, self.micro_batch_size, self.world)
        loss = self.learner.learn(self.task.loss, self.task.loss_weight, micros, num, self._rate(self.step), self.step)
        self.loss_sum += loss
        self.loss_steps += 1
        # Noted on the device and read when something is logged or saved: reading every step would stall a GPU.
        first_bad = ~torch.isfinite(loss) & (self.bad_step < 0)
        self.bad_step.masked_fill_(first_bad, self.step + 1)

    def _step_within_memory(self, batch: Batch) -> None:
        """Do one step. Raises OutOfMemory naming the micro-batch that fits, after saving what is finished.

        Of several processes all raise it; those that wait in the step for one without memory notice after `HANG_S`.
        """
        lack = lacking(self.learner, lambda: self.train_step(batch), lambda told: self._lack(told, batch))
        if lack is None:
            return
        says = str(lack)
        if self._save_what_is_new():
            says += f"; step {self.step} is saved, and --resume goes on from there"
        with self.world.together():
            raise OutOfMemory(says)

    def _lack(self, told: MaeError, batch: Batch) -> Lack:
        """Return what this process finds that it has memory for, by itself, where the others wait for it."""
        size, several = self.micro_batch_size or len(batch), self.world.size > 1
        least = 2 if several else 1  # as `micro_batches` has it
        if several and self.spec.parallel == "fsdp":
            return Lack(str(told), size, None, least)
        fitting = smaller_that_fits(self.learner, self.task.loss, batch, size, least)
        return Lack(str(told), size, fitting or 0, least)

    def _rate(self, step: int) -> float:
        return self.schedule.rate(step, self.begin)

    def _agreed(self) -> tuple[bool, bool]:
        """Return whether any process is to stop, and whether the step must be saved whatever else is due."""
        late = self.telling.clock.since_save() > 60 * self.spec.checkpoint.every_minutes
        stop, late = self.world.any(self.stop.asked, late)
        if stop and not self.stop.asked:
            self.stop.signal = signal.SIGTERM
        return stop, stop or late or self.out_of_patience

    def check_finite(self) -> None:
        """Raise NotFiniteError if any loss so far was NaN or infinite. Reading it syncs the device."""
        bad = int(self.bad_step)
        if bad < 0:
            return
        rate = self._rate(bad - 1)
        last = self.checkpoints.pointed("last") if self.checkpoints else None
        kept = f"the last good checkpoint is {last.path}" if last else "nothing was saved yet"
        raise NotFiniteError(
            f"the loss was not finite at step {bad} (learning rate {rate:.3g}); {kept}. Likely causes: a learning "
            "rate that is too high (lower --base-lr or raise train.warmup_epochs), no gradient clipping (set "
            "train.clip_grad to 1), values in the data that are no numbers, or bf16 (try --precision float32)"
        )

    def log(self) -> None:
        """Report the mean loss since the last report to trackers and progress."""
        self.check_finite()
        loss = float(self.loss_sum) / self.loss_steps
        self.loss_sum.zero_()
        self.loss_steps = 0
        samples_per_s, wait_share = self.telling.lap(loss)
        self._track(
            {
                "train/loss": loss,
                "train/lr": self._rate(self.step - 1),
                "train/epoch": self.step / self.schedule.steps_per_epoch,
                "train/samples_per_s": samples_per_s,
                "train/data_wait": wait_share,
            }
        )

    def _track(self, metrics: Mapping[str, float]) -> None:
        with self.world.together():
            for tracker in self.trackers:
                with disk_errors(tracker.run_dir):
                    tracker.log(self.step, metrics)

    def _tell(self, tell: Callable[..., None], *what: Any) -> None:
        """Tell how far training has come; a signal ends that: where nobody empties a pipe, it takes for ever."""
        with contextlib.suppress(Stopped):
            self.stop.at_once(lambda: tell(*what))

    def _validate_and_log(self) -> bool:
        """Validate, and report what was not yet where no step follows; return whether it is the best so far."""
        improved = self.validate()
        if self.out_of_patience and self.loss_steps:
            self.log()
        return improved

    def validate(self) -> bool:
        """Measure the validation split; return whether the monitored metric is the best so far."""
        if self.val_loader is None:
            return False
        self.check_finite()
        self.validation_due = True
        self._tell(self.telling.show_doing, self.step, "validating")
        torch.manual_seed(derive_seed(self.spec.seed, "validation", self.step))  # it may be made up for after a restart
        metrics = self._measured(self.val_loader)
        self.validation_due = False
        self._track({f"val/{name}": metric.value for name, metric in metrics.items()})
        self._tell(self.telling.say_validation, self.step, metrics)
        return self._is_best(metrics[self.task.monitor])

    def _measured(self, loader: Loader) -> dict[str, Metric]:
        """Return the metrics of a split, the same in all processes."""
        alone = self.world.size == 1  # several agree on it before each batch

        def measured() -> dict[str, Metric]:
            module, size = self.learner.final_module, self.spec.train.batch_size
            self.world.same(module.buffers())
            stop, world = self.stop, self.world
            evaluator, seen = measure(
                self.task, module, loader, size, self.dtype, False, world=world, stopped=lambda: stop.asked
            )
            if not seen:
                raise nothing_read(loader, "val")
            self.learner.put_away()
            return self.world.first(lambda: {metric.name: metric for metric in evaluator.metrics()})

        with self.telling.clock.paused(), self.telling.pace.validating():
            return self._read(measured, at_once=alone)

    def _is_best(self, monitored: Metric) -> bool:
        """Note what the metric that is watched came to; return whether it is the best so far."""
        self.monitored = monitored.label
        sign = 1.0 if monitored.better == "higher" else -1.0
        if math.isnan(monitored.value) or (self.best is not None and sign * monitored.value <= sign * self.best):
            self.stale += 1
            return False
        self.best, self.stale = monitored.value, 0
        return True

    def save(self, best: bool = False) -> None:
        """Write a checkpoint of this step. Raises NotFiniteError instead of saving weights that are no numbers."""
        if self.checkpoints is None and self.world.size == 1:
            return
        self.check_finite()
        with self.telling.clock.paused(), self.telling.pace.saving():
            snapshot = self.snapshot(best)
            with self.world.together():
                self._check_weights(snapshot.model, snapshot.state)
                self._sync_metrics()
            save_together(self.checkpoints, self.world, snapshot, best, self.spec.checkpoint.keep)
        self._saved_step, self._has_saved = self.step, True
        self.telling.clock.saved()
        if not self.stop.asked:
            set_alarm(self._last_moment)

    def _check_weights(self, weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Raise NotFiniteError where what this process has of the weights under training are no numbers."""
        raw = own_parts({name: state.get(RAW + name, value) for name, value in weights.items()}).values()
        if not all(bool(torch.isfinite(value).all()) for value in raw if value.is_floating_point()):
            self.bad_step.fill_(self.step)
            self.check_finite()

    def _sync_metrics(self) -> None:
        """Bring the files of trackers to the disk: a checkpoint is the last only after the metrics up to it."""
        for tracker in self.trackers:
            with disk_errors(tracker.run_dir):
                for file in (tracker.run_dir / name for name in tracker.files):
                    if file.is_file():  # and no pattern
                        sync(file)

    def snapshot(self, best: bool = False) -> Snapshot:
        """Return what a checkpoint of this step holds."""
        weights, state = self.learner.snapshot()
        metadata = {"step": self.step, "total_steps": self.schedule.total_steps, **self.metadata}
        counters = {
            "step": self.step,
            "begin": self.begin,
            "loss_steps": self.loss_steps,
            "best": self.best,
            "stale": self.stale,
            "monitored": self.monitored,
            "is_best": best,
            "validation_due": self.validation_due,
            "seed": self.spec.seed,
            "seconds": self.seconds_before + time.monotonic() - self._began,
        }
        return Snapshot(self.step, weights, state | {"loss_sum": self.loss_sum}, metadata, counters)

    def load(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of this very run."""
        is_best = self._take(checkpoint)
        if is_best and self.checkpoints is not None:
            self.checkpoints.point("best", checkpoint)  # the run may have been killed before this was done

    def extend(self, checkpoint: Checkpoint) -> None:
        """Go on from the last checkpoint of a finished run: its weights, average, optimizer and step.

        What was the best, and how long that run took, is its own. Raises SpecError where no step is left.
        """
        schedule = self.schedule
        if checkpoint.step >= schedule.total_steps:
            self.step = checkpoint.step
            raise SpecError(
                f"--epochs {schedule.total_steps / schedule.steps_per_epoch:g} is not more than the "
                f"{schedule.epoch(self.step)} that the run to extend has; give more, such as --epochs "
                f"{schedule.more_epochs(self.step)}"
            )
        self._take(checkpoint)
        self.begin, self.best, self.stale, self.seconds_before = self.step, None, 0, 0.0
        self.loss_steps, self.validation_due = 0, False
        self.loss_sum.zero_()

    def _take(self, checkpoint: Checkpoint) -> bool:
        """Take over what a checkpoint holds; return whether it was the best one of its run."""
        try:
            counters = checkpoint.metadata(STATE)
            self._restore(checkpoint.tensors(), checkpoint.tensors(STATE), counters)
        except (RuntimeError, KeyError) as error:
            raise MaeError(f"{checkpoint.path} does not fit this run: {' '.join(str(error).split())}") from error
        return bool(counters["is_best"])

    def _restore(self, model: Tensors, state: Tensors, counters: Mapping[str, Any]) -> None:
        """Take over what `snapshot` returned, of this version or an older one."""
        self.learner.restore(model, state)
        self.loss_sum = state["loss_sum"].to(self.device)
        self._count_from(counters)

    def _count_from(self, counters: Mapping[str, Any]) -> None:
        """Take over the numbers that `snapshot` returned."""
        self.step, self.loss_steps, self.best = counters["step"], counters["loss_steps"], counters["best"]
        self.begin, self.seconds_before = counters.get("begin", 0), counters["seconds"]
        self.validation_due = counters.get("validation_due", False)  # older runs never saved before it was done
        self.stale, self.monitored = counters.get("stale", 0), counters.get("monitored", "")
        self._saved_step = self.step

    def join(self, world: World) -> None:
        """Go on with other processes, which all begin with what the first of them has."""
        self.learner.world = world
        if world.size == 1:
            return
        world.goes_on = True
        if self.spec.compile:
            world.be_patient()
        counters = world.first(lambda: self.snapshot().counters)
        world.same([self.loss_sum])
        if not world.main:
            self._count_from(counters)
        self.learner.begin_as_the_first()

    def _read(self, read: Callable[[], T], in_step: bool = False, at_once: bool = True) -> T:
        """Return what is read between two steps. If that fails, or a signal stops it, what is finished is saved first.

        A signal ends it `at_once`: data may be waited for for ever. What one process raises, all do.
        """
        try:
            with self.world.together(in_step):
                return self.stop.at_once(read) if at_once else read()
        except Stopped:
            self.stop.signal = self.stop.signal or signal.SIGTERM
            self._save_what_is_new()
            raise self.interrupted() from None
        except LostProcess:
            raise
        except Exception as error:
            if self._save_what_is_new() and (told := with_what_is_saved(error, self.spec, self.step)) is not None:
                raise told from error
            raise

    def _save_what_is_new(self) -> bool:
        """Save this step unless that was done; return whether there is anything to resume from."""
        if self.step != self._saved_step:
            self.save()
        return self.checkpoints is not None and self.step > self.begin

    @property
    def _last_moment(self) -> float:
        """When to begin to save, so that it is done in time."""
        return self.stop.until - self.telling.pace.longest_save_s

    def interrupted(self) -> Interrupted:
        """Return what ends the run where it was stopped."""
        if self.stop.signal == ALARM:
            at = f"step {self.step:,} of {self.schedule.total_steps:,}"
            return TimeIsUp(f"the time of --max-time is up: saved at {at}; resume to go on", self._has_saved)
        if self._saved_step != self.step or self.checkpoints is None:
            return Interrupted(f"stopped at step {self.step}; there is nothing to save")
        if self.step == self.begin:
            return Interrupted("stopped before the first step; there is nothing to save")
        if self.is_done and not self.validation_due:
            return Interrupted(f"saved at step {self.step}, the last; --resume goes on with what follows training")
        return Interrupted(f"saved at step {self.step}; --resume goes on from there")

    def stoppable(self, do: Callable[[], T]) -> T:
        """Return what `do`, which follows training, returns; a signal and the end of the time stop it.

        Raises what `interrupted` returns then. Of several processes all ask at once, and `do` has to look at `stop`.
        """
        alone = self.world.size == 1  # one that stops by itself would leave the others waiting
        try:
            with self.world.together():
                if self.stop.asked:  # it came too late for training
                    raise Stopped
            with self.stop.of_scheduler() if alone else self.stop.noted():
                return do()
        except (Stopped, KeyboardInterrupt):
            raise self.interrupted() from None
        except MaeError as error:
            saved = self.checkpoints is not None and self._saved_step == self.step
            if saved and (told := with_what_is_saved(error, self.spec, self.step)) is not None:
                raise told from error
            raise
