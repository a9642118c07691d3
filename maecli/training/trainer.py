"""The one training loop."""

from __future__ import annotations

import contextlib
import copy
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.data.batching import Batching, part_of
from maecli.data.randomness import derive_seed
from maecli.errors import (
    DataError,
    Interrupted,
    LoadingError,
    MaeError,
    NotFiniteError,
    OutOfMemory,
    SpecError,
    TimeIsUp,
)
from maecli.hardware import autocast
from maecli.loading.loader import Loader
from maecli.memory import out_of_memory
from maecli.models.blocks import drawing_from
from maecli.parallel.world import ALONE, LostProcess, World
from maecli.parallel.wrap import replicated, shard, summed_at_the_end, whole
from maecli.progress import BETWEEN, Progress, duration
from maecli.schema import RunSpec
from maecli.storage.files import disk_errors, sync
from maecli.text import number_of
from maecli.training.checkpoint import STATE, Checkpoint
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.clock import Clock
from maecli.training.evaluation import measure
from maecli.training.fitting import smaller_that_fits
from maecli.training.optim import (
    WeightAverage,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
    rate_at,
    set_rate,
)
from maecli.training.pace import Durations, Pace, num_due
from maecli.training.stopping import ALARM, TOLD_S, Stopped, listening, set_alarm, told_aside
from maecli.training.task import Task
from maecli.training.tracker import Tracker

Tensors = dict[str, Tensor]
RAW = "raw."
"""Prefix of the weights under training in the state, where the model file holds their average."""


def whole_pairs(size: int, num: int) -> int:
    """Return the size of micro-batches of `num` samples that begin at even places: a task may blend pairs of samples.

    Those of one sample are left so.
    """
    return size - size % 2 if 1 < size < num else size


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
        self.task, self.module, self.spec = task, module, spec
        self.train_loader, self.val_loader = train, val
        self.device, self.dtype = train.device, dtype
        self.checkpoints, self.metadata = checkpoints, dict(metadata or {})
        self.trackers, self.progress = trackers, progress or Progress()
        self.running: Callable[..., Any] = torch.compile(module) if spec.compile else module
        self.world = ALONE
        self._unsharded: nn.Module | None = None
        """Where each process has a part of the module: a module for the whole weights."""

        self.batching = Batching(len(train.split), spec.train.batch_size, spec.train.last_batch == "keep")
        self.steps_per_epoch = self.batching.num_batches
        if not len(train.split):
            raise DataError("there are no training samples")
        self.schedule = spec.train.model_copy(update={"batch_size": self.batching.batch_size})
        """The numbers of the schedule, with the batches as they are: a learning rate is stated for these."""
        if spec.train.patience is not None and not (val is not None and len(val.split)):
            raise SpecError(
                f"train.patience ({spec.train.patience}) ends a run by its validations, and there is no val split; "
                "leave out --patience, or give data with one"
            )
        self.total_steps = min(spec.train.epochs * self.steps_per_epoch, spec.train.max_steps or sys.maxsize)
        micro = spec.train.micro_batch_size
        self.micro_batch_size = micro if isinstance(micro, int) else None
        self.optimizer = make_optimizer(module, spec.train)
        self.average = WeightAverage(module, spec.train.ema_decay) if spec.train.ema_decay else None

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
        self.stop_signal: int | None = None
        self.until = math.inf
        """When it is to have stopped and saved, by `time.monotonic()`."""
        self.validation_due = False
        """Whether the validation of this step was begun and not finished."""
        self.seconds_before = 0.0
        """What earlier attempts at this run took, up to the checkpoint that it continues from."""
        self._between_steps = self._is_updating = False
        self._saved_step = 0  # there is nothing to save before the first one
        self._has_saved = False
        """Whether this process saved anything."""
        self._began = time.monotonic()
        self._clock = Clock()
        self._pace = Pace(self._validation_steps)
        self._told: list[str] = []
        """What was last read of the loss, the speed and the wait for data."""

    def expect(self, planned: Durations) -> None:
        """Tell the remaining time by what a plan measured, until it is measured here."""
        self._pace = Pace(self._validation_steps, planned)

    @property
    def _validation_steps(self) -> float:
        """How many steps' worth of samples a validation has."""
        return (len(self.val_loader.split) if self.val_loader is not None else 0) / self.batching.batch_size

    @property
    def final_module(self) -> nn.Module:
        """The weights to use: the average if there is one. Where they lie in parts, all processes ask at once."""
        module = self.average.module if self.average else self.module
        if self._unsharded is None:
            return module
        self._unsharded.load_state_dict(whole(module.state_dict()))
        return self._unsharded

    @property
    def out_of_patience(self) -> bool:
        """Whether as many validations were no better as the run was to wait for."""
        patience = self.spec.train.patience
        return patience is not None and self.stale >= patience

    @property
    def is_done(self) -> bool:
        return self.step >= self.total_steps or self.out_of_patience

    @property
    def more_epochs(self) -> int:
        """Twice as many epochs as are done: what a run may be extended to."""
        return 2 * math.ceil(self.step / self.steps_per_epoch)

    def ending(self) -> str:
        """Return in words that, and why, the run stopped before its last step; empty where it did not."""
        if not self.out_of_patience or self.step >= self.total_steps:
            return ""
        return (
            f"stopped at epoch {self._epoch()} of {self.spec.train.epochs}: no better {self.monitored} on val for "
            f"{number_of(self.stale, 'validation')}; figures are of epoch {self._epoch()}'s weights"
        )

    def fit(self) -> None:
        """Run optimizer steps from `self.step` to `self.total_steps`, or until `train.patience` is over.

        Raises NotFiniteError when the loss is no number, Interrupted after saving when a signal asks to stop, and
        whatever ends the reading of data, after saving what is finished; TimeIsUp after saving in time for `until`.
        """
        spec, world = self.spec, self.world
        self._spread()
        batches = self.train_loader.train_batches(
            spec.augment,
            spec.train.batch_size,
            self.step,
            self.total_steps,
            self.batching.keep,
            part=(world.rank, world.size),
        )
        self.module.train()
        self._clock.start()
        self._pace.start()
        begun = False
        with self._listen(), self.progress, contextlib.closing(batches):
            self._show()
            if self.validation_due:
                self.save(self.validate())
            while not self.is_done:
                with self._clock.waiting(), self._reading(in_step=begun):
                    batch = next(batches)
                with world.guarded():
                    self._step_within_memory(batch)
                self._clock.add(self._num_samples(batch))
                self.step += 1
                begun = True
                self._pace.stepped()
                if self.stop_signal is None and time.monotonic() > self._last_moment:
                    self.stop_signal = ALARM
                if self.is_due(spec.log_every_steps):
                    self.log()
                self._show()
                improved = self.is_due(self._steps(spec.eval_every_epochs)) and self.validate()
                if self.out_of_patience and self.loss_steps:
                    self.log()
                stop, must_save = self._agreed()
                if improved or self.is_due(self._steps(spec.checkpoint.every_epochs)) or must_save:
                    self.save(improved)
                if stop and not self.is_done:
                    raise self.interrupted()

    def train_step(self, batch: Batch) -> None:
        """Do one optimizer step; gradients are summed over micro-batches."""
        spec, num = self.spec.train, self._num_samples(batch)
        # of a process beside the first it is another one, since its samples are others
        torch.manual_seed(
            derive_seed(self.spec.seed, "step", self.step, *([rank] if (rank := self.world.rank) else []))
        )
        batch.progress = self.step / self.total_steps
        set_rate(self.optimizer, self._rate(self.step))
        loss = torch.zeros((), device=self.device)
        micros = self._micro_batches(batch)
        for i, micro in enumerate(micros, start=1):
            with summed_at_the_end(self.running, i == len(micros)):
                with autocast(self.device, self.dtype), drawing_from(self.module, micro.draws):
                    part = self.task.loss(self.running, micro) * (len(micro) / num)
                part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        self.world.sum_(loss)
        self._is_updating = True
        if spec.clip_grad is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), spec.clip_grad)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.module, self.step + 1)
        self._is_updating = False
        self.loss_sum += loss
        self.loss_steps += 1
        # Noted on the device and read when something is logged or saved: reading every step would stall a GPU.
        first_bad = ~torch.isfinite(loss) & (self.bad_step < 0)
        self.bad_step.masked_fill_(first_bad, self.step + 1)

    def _num_samples(self, batch: Batch) -> int:
        """Return how many samples the batch of this step has, over all processes."""
        if self.world.size == 1:
            return len(batch)
        start, stop = self.batching.bounds(self.step % self.steps_per_epoch)
        return stop - start

    def _micro_batches(self, batch: Batch) -> list[Batch]:
        """Return the parts of this process's batch: as many in each process, for all work on each at the same time."""
        size = self.micro_batch_size or len(batch)
        if self.world.size == 1:
            return list(batch.micro_batches(whole_pairs(size, len(batch))))
        nums = self._shares(self._num_samples(batch))
        num_parts = min(-(-max(nums) // (self.micro_batch_size or max(nums))), min(nums) // 2)
        return [batch.narrow(*part_of(len(batch), i, num_parts)) for i in range(num_parts)]

    def _shares(self, num_samples: int) -> list[int]:
        """Return how many samples of a batch each process has."""
        bounds = (part_of(num_samples, rank, self.world.size) for rank in range(self.world.size))
        return [stop - start for start, stop in bounds]

    def _step_within_memory(self, batch: Batch) -> None:
        """Do one step. Raises OutOfMemory naming the micro-batch that fits, after saving what is finished."""
        try:
            return self.train_step(batch)
        except Exception as error:
            told = out_of_memory(error)
            if told is None or self._is_updating or self.world.size > 1:  # others would wait for the trials of one
                raise
        # Only here is nothing held any more by the frames that the error came through.
        size = self.micro_batch_size or len(batch)
        fitting = smaller_that_fits(self, batch, size)
        says = f"{told}; not even one sample fits, so a smaller --img-size or model is needed"
        if fitting is not None:
            says = (
                f"memory is used up by {number_of(size, 'sample')} at once; --micro-batch-size {fitting} fits, as was "
                "tried, and means the same: gradients are summed over the parts of a batch"
            )
        has_statistics = any(isinstance(each, nn.modules.batchnorm._NormBase) for each in self.module.modules())
        if not has_statistics and self._save_what_is_new():  # else they hold a part of this step
            says += f"; step {self.step} is saved, and --resume goes on from there"
        raise OutOfMemory(says)

    def is_due(self, every: int) -> bool:
        """Return whether something that happens every so many steps, and at the end, happens now."""
        return self.step % every == 0 or self.step == self.total_steps

    def _rate(self, step: int) -> float:
        return rate_at(step, self.total_steps, self.steps_per_epoch, self.schedule, self.begin)

    def _steps(self, epochs: float) -> int:
        return max(1, round(epochs * self.steps_per_epoch))

    def _agreed(self) -> tuple[bool, bool]:
        """Return whether any process is to stop, and whether the step must be saved whatever else is due."""
        late = self._clock.since_save() > 60 * self.spec.checkpoint.every_minutes
        stop, late = self.world.any(self.stop_signal is not None, late)
        if stop and self.stop_signal is None:
            self.stop_signal = signal.SIGTERM
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
        epoch = self.step / self.steps_per_epoch
        samples_per_s, wait_share = self._clock.lap()
        rate = self._rate(self.step - 1)
        self._track(
            {
                "train/loss": loss,
                "train/lr": rate,
                "train/epoch": epoch,
                "train/samples_per_s": samples_per_s,
                "train/data_wait": wait_share,
            }
        )
        speed = f"{samples_per_s:,.0f} {self.train_loader.preprocess.modality.unit}/s"
        self._told = [f"loss {loss:.4f}", speed, f"waiting for data {wait_share:.0%}"]

    def _show(self, *doing: str) -> None:
        """Show how far training has come, what is done now, and how long the rest of it takes."""
        left, epochs = self._seconds_left(), self.spec.train.epochs
        if left is None and self.progress.bar is None:
            return
        most = "at most " if self.spec.train.patience is not None else ""
        remaining = f"{most}{duration(left)} left" if left is not None else "the first steps"
        parts = [f"epoch {self._epoch()} of {epochs}", remaining, *doing, *self._told]
        line = f"step {self.step:,} of {self.total_steps:,}" + BETWEEN + BETWEEN.join(parts)
        self.progress.update(self.step, self.total_steps, parts, line, phase="training")

    def _seconds_left(self) -> float | None:
        """Return how long the rest takes by what was measured, with the measuring on validation at the end."""
        validations, saves = self.num_left(max(0, self.step - 1))  # what is due now is still to come
        return self._pace.remaining(self.total_steps - self.step, validations, saves if self.checkpoints else 0)

    def num_left(self, step: int) -> tuple[int, int]:
        """Return how many validations, with that at the very end, and how many saves are due after a step."""
        validates = self.val_loader is not None and len(self.val_loader.split) > 0
        validations = num_due(step, self.total_steps, self._steps(self.spec.eval_every_epochs)) + 1 if validates else 0
        return validations, num_due(step, self.total_steps, self._steps(self.spec.checkpoint.every_epochs))

    def _epoch(self) -> str:
        """Return how many epochs are done, in words: 2, or 1.4."""
        return f"{self.step / self.steps_per_epoch:.1f}".removesuffix(".0")

    def _track(self, metrics: Mapping[str, float]) -> None:
        with self.world.together():
            for tracker in self.trackers:
                with disk_errors(tracker.run_dir):
                    tracker.log(self.step, metrics)

    def validate(self) -> bool:
        """Measure the validation split; return whether the monitored metric is the best so far."""
        if self.val_loader is None or len(self.val_loader.split) == 0:
            return False
        self.check_finite()
        self.validation_due = True
        if self.progress.bar is not None:
            self._show("validating")
        torch.manual_seed(derive_seed(self.spec.seed, "validation", self.step))  # it may be made up for after a restart
        alone = self.world.size == 1  # others would wait for the measures of one that stops at once
        with self._clock.paused(), self._pace.validating(), self._reading(at_once=alone):
            module, size = self.final_module, self.spec.train.batch_size
            self.world.same(module.buffers())
            evaluator, _ = measure(
                self.task, module, self.val_loader, size, self.dtype, thorough=False, world=self.world
            )
            metrics = self.world.first(lambda: {metric.name: metric for metric in evaluator.metrics()})
        self.validation_due = False
        self._track({f"val/{name}": metric.value for name, metric in metrics.items()})
        monitored = metrics[self.task.monitor]
        self.monitored = monitored.label
        measured = ", ".join(f"{metric.label} {metric.value:.4f}" for metric in list(metrics.values())[:2])
        told = "; ".join([*self._told[:1], f"validation {measured}"])
        self.progress.say(f"epoch {self._epoch()} of {self.spec.train.epochs}: {told}")
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
        with self._clock.paused(), self._pace.saving():
            weights, state, counters = self._snapshot(best)
            with self.world.together():
                if self.checkpoints is not None:
                    self._write(self.checkpoints, weights, state, counters)
        self._saved_step, self._has_saved = self.step, True
        self._clock.saved()
        if self.stop_signal is None:
            set_alarm(self._last_moment)

    def _sync_metrics(self) -> None:
        """Bring the files of trackers to the disk: a checkpoint is the last only after the metrics up to it."""
        for tracker in self.trackers:
            with disk_errors(tracker.run_dir):
                for file in (tracker.run_dir / name for name in tracker.files):
                    if file.is_file():  # and no pattern
                        sync(file)

    def _write(self, folder: CheckpointFolder, model: Tensors, state: Tensors, counters: Mapping[str, Any]) -> None:
        raw = [state.get(RAW + name, value) for name, value in model.items()]
        if not all(bool(torch.isfinite(value).all()) for value in raw if value.is_floating_point()):
            self.bad_step.fill_(self.step)
            self.check_finite()
        metadata = {"step": self.step, "total_steps": self.total_steps, **self.metadata}
        self._sync_metrics()
        keep = self.spec.checkpoint.keep
        folder.save(self.step, model, state, metadata, counters, counters["is_best"], keep)

    def _snapshot(self, best: bool = False) -> tuple[Tensors, Tensors, dict[str, Any]]:
        """Return the weights to use, and the tensors and numbers that a restart needs besides."""
        average = self.average.module if self.average is not None else self.module
        state = {f"optim.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        if self.average is not None:
            state |= {RAW + name: value for name, value in self.module.state_dict().items()}
        state["loss_sum"] = self.loss_sum
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
        return whole(average.state_dict()), whole(state), counters

    def load(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of this very run."""
        is_best = self._take(checkpoint)
        if is_best and self.checkpoints is not None:
            self.checkpoints.point("best", checkpoint)  # the run may have been killed before this was done

    def extend(self, checkpoint: Checkpoint) -> None:
        """Go on from the last checkpoint of a finished run: its weights, average, optimizer and step.

        What was the best, and how long that run took, is its own. Raises SpecError where no step is left.
        """
        if checkpoint.step >= self.total_steps:
            self.step = checkpoint.step
            raise SpecError(
                f"--epochs {self.total_steps / self.steps_per_epoch:g} is not more than the {self._epoch()} that the "
                f"run to extend has; give more, such as --epochs {self.more_epochs}"
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
        """Take over what `_snapshot` returned, of this version or an older one."""
        if self.average is not None:
            self.average.module.load_state_dict(model)
            model = {name.removeprefix(RAW): state[name] for name in state if name.startswith(RAW)}
        self.module.load_state_dict(model)
        moments = {name.removeprefix("optim."): state[name] for name in state if name.startswith("optim.")}
        load_optimizer_tensors(self.optimizer, moments)
        self.step, self.loss_steps, self.best = counters["step"], counters["loss_steps"], counters["best"]
        self.begin, self.seconds_before = counters.get("begin", 0), counters["seconds"]
        self.loss_sum = state["loss_sum"].to(self.device)
        self.validation_due = counters.get("validation_due", False)  # older runs never saved before it was done
        self.stale, self.monitored = counters.get("stale", 0), counters.get("monitored", "")
        self._saved_step = self.step

    def check_shares(self, num_processes: int) -> None:
        """Raise SpecError where a batch is too small for so many processes: each takes two samples of it at least."""
        start, stop = self.batching.bounds(0)
        if num_processes > 1 and stop - start < 2 * num_processes:
            raise SpecError(
                f"{num_processes} processes share each batch in pairs of samples, and a batch here has "
                f"{number_of(stop - start, 'sample')}; use fewer processes, or a --batch-size of at least "
                f"{2 * num_processes}"
            )

    def join(self, world: World) -> None:
        """Go on with other processes, which all begin with what the first of them has."""
        self.world = world
        if world.size == 1:
            return
        if self.spec.compile:
            world.be_patient()
        weights, state, counters = self._snapshot()
        weights, state = world.handed_out(weights), world.handed_out(state)
        counters = world.first(lambda: counters)
        if not world.main:
            self._restore(weights, state, counters)

    def _spread(self) -> None:
        """Let the module run in all processes: a copy in each, or with `parallel: fsdp` a part in each."""
        spec, world = self.spec, self.world
        if world.size == 1:
            return
        if spec.parallel == "fsdp":
            moments = optimizer_tensors(self.optimizer)
            self._unsharded = copy.deepcopy(self.module).eval().requires_grad_(False)
            shard(self.module, world)
            if self.average is not None:
                shard(self.average.module, world)
            self.optimizer = make_optimizer(self.module, spec.train)
            load_optimizer_tensors(self.optimizer, moments)
            self.running = self.module
        else:
            self.running = replicated(self.module, world)
        if spec.compile:
            self.running = torch.compile(self.running)

    @contextlib.contextmanager
    def _reading(self, in_step: bool = False, at_once: bool = True) -> Iterator[None]:
        """Read data between two steps. If that fails, or a signal stops it, what is finished is saved first.

        A signal ends it `at_once`: data may be waited for for ever. What one process raises, all do.
        """
        try:
            with self.world.together(in_step):
                self._between_steps = at_once
                try:
                    if at_once and self.stop_signal is not None:
                        raise Stopped
                    yield
                finally:
                    self._between_steps = False
        except Stopped:
            self.stop_signal = self.stop_signal or signal.SIGTERM
            self._save_what_is_new()
            raise self.interrupted() from None
        except LostProcess:
            raise
        except Exception as error:
            if self._save_what_is_new() and isinstance(error, LoadingError):
                raise LoadingError(f"{error}; step {self.step} is saved, and --resume goes on from there") from error
            raise

    def _save_what_is_new(self) -> bool:
        """Save this step unless that was done; return whether there is anything to resume from."""
        if self.step != self._saved_step:
            self.save()
        return self.checkpoints is not None and self.step > self.begin

    @property
    def _last_moment(self) -> float:
        """When to begin to save, so that it is done in time."""
        return self.until - self._pace.longest_save_s

    def interrupted(self) -> Interrupted:
        """Return what ends the run where it was stopped."""
        if self.stop_signal == ALARM:
            at = f"step {self.step:,} of {self.total_steps:,}"
            return TimeIsUp(f"the time of --max-time is up: saved at {at}; resume to go on", self._has_saved)
        if self._saved_step != self.step or self.checkpoints is None:
            return Interrupted(f"stopped at step {self.step}; there is nothing to save")
        if self.step == self.begin:
            return Interrupted("stopped before the first step; there is nothing to save")
        if self.is_done and not self.validation_due:
            return Interrupted(f"saved at step {self.step}, the last; --resume goes on with what follows training")
        return Interrupted(f"saved at step {self.step}; --resume goes on from there")

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Let SIGTERM, and the end of the time, stop what follows training. Raises what `interrupted` returns then."""

        def stop(number: int) -> None:
            self.stop_signal = number
            raise Stopped

        try:
            if self.stop_signal is not None:  # it came too late for training
                raise Stopped
            if self.world.size > 1:  # one that stops by itself would leave the others waiting
                yield
                return
            with listening(stop, self.until, [signal.SIGTERM]):
                yield
        except (Stopped, KeyboardInterrupt):
            raise self.interrupted() from None

    @contextlib.contextmanager
    def _listen(self) -> Iterator[None]:
        """Save on the first SIGINT or SIGTERM, or in time, after the step or in a wait for data; say so at once."""

        def heard(number: int) -> None:
            self.stop_signal = number
            again = "; press Ctrl-C again to stop without saving" if number == signal.SIGINT else ""
            telling.append(told_aside(self.progress.say, f"saving, then stopping{again}"))
            if self._between_steps:
                raise Stopped

        telling: list[threading.Thread] = []
        try:
            with listening(heard, self._last_moment):
                yield
        finally:
            for thread in telling:
                if thread.is_alive():
                    thread.join(TOLD_S)
