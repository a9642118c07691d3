from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.data.sample import TensorSplit
from maecli.errors import DataError, Interrupted, LoadingError, MaeError, NotFiniteError, SpecError
from maecli.loading.resident import ResidentLoader
from maecli.modalities.preprocess import Preprocess
from maecli.results import Metric
from maecli.schema import PluginSection, PretrainSpec
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.evaluator import Evaluator
from maecli.training.optim import optimizer_tensors
from maecli.training.pace import Durations
from maecli.training.task import Prediction, Task
from maecli.training.tracker import Tracker
from maecli.training.trainer import Trainer

CPU = torch.device("cpu")
NUM_TRAIN = 12


class Brightness(Task[nn.Linear]):
    """Predict a picture's mean from its four pixels, with noise from torch's generator on the way."""

    name = "brightness"
    verb = "pretrain"
    monitor = "error"

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise
        self.measured: list[float] = []

    def build(self, encoder: Any) -> nn.Linear:
        raise NotImplementedError

    def loss(self, module: nn.Linear, batch: Batch) -> Tensor:
        x = batch["image"].flatten(1)  # (B, 4)
        return (module(x + self.noise * torch.randn_like(x)).squeeze(1) - x.mean(1)).square().mean()

    def evaluator(self, thorough: bool = True) -> Evaluator[nn.Linear]:
        return Error(self)

    def predict(self, module: nn.Linear, batch: Batch) -> list[Prediction]:
        raise NotImplementedError


class Error(Evaluator[nn.Linear]):
    def __init__(self, task: Brightness) -> None:
        self.task, self.value = task, 0.0

    def update(self, module: nn.Linear, batch: Batch) -> None:
        assert not module.training
        self.value += float(self.task.loss(module, batch))

    def metrics(self) -> Sequence[Metric]:
        value = self.task.measured.pop(0) if self.task.measured else self.value
        return [Metric(name="error", label="error", value=value, better="lower")]


class Notes(Tracker):
    name = "notes"

    def __init__(self, run_dir: Path, spec: Mapping[str, Any], start_step: int) -> None:
        super().__init__(run_dir, spec, start_step)
        self.records: list[tuple[int, dict[str, float]]] = []

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.records.append((step, dict(metrics)))


def loader(num: int) -> ResidentLoader:
    images = torch.randint(0, 256, (num, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(num))
    preprocess = Preprocess((2, 2), 1, (0.0, 255.0), (0.5,), (0.25,))
    return ResidentLoader(TensorSplit({"image": images}), preprocess, CPU, 0)


def spec(**settings: Any) -> PretrainSpec:
    train = {"epochs": 3, "batch_size": 4, "base_lr": 1.0, "ema_decay": 0.9} | settings.pop("train", {})
    plugin = PluginSection(name="toy")
    checkpoint = {"every_epochs": settings.pop("save_epochs", 1.0)}
    return PretrainSpec.model_validate(
        {"dataset": plugin, "task": plugin, "model": plugin, "log_every_steps": 1}
        | {"train": train, "checkpoint": checkpoint}
        | settings
    )


def make(
    folder: Path | None = None, task: Brightness | None = None, num_val: int = 5, num: int = NUM_TRAIN, **settings: Any
) -> Trainer:
    torch.manual_seed(0)
    checkpoints = None
    if folder is not None:
        (folder / "checkpoints").mkdir(exist_ok=True)
        checkpoints = CheckpointFolder(folder / "checkpoints")
    trackers = (Notes(folder or Path(), {}, 0),)
    module = nn.Linear(4, 1)
    return Trainer(
        *(task or Brightness(), module, spec(**settings), loader(num), loader(num_val), torch.float32),
        checkpoints=checkpoints,
        trackers=trackers,
    )


def records(trainer: Trainer, name: str) -> list[tuple[int, float]]:
    notes = trainer.trackers[0]
    assert isinstance(notes, Notes)
    return [(step, metrics[name]) for step, metrics in notes.records if name in metrics]


def weights(trainer: Trainer) -> list[Tensor]:
    assert trainer.average is not None
    return [*trainer.module.state_dict().values(), *trainer.average.module.state_dict().values()]


def test_a_run_has_the_steps_of_its_epochs():
    trainer = make(num=14)
    assert (trainer.steps_per_epoch, trainer.total_steps) == (3, 9)
    trainer.fit()
    assert [step for step, _ in records(trainer, "train/loss")] == list(range(1, 10))
    assert [step for step, _ in records(trainer, "val/error")] == [3, 6, 9]
    assert records(trainer, "train/epoch")[-1] == (9, 3.0)


def test_a_run_can_end_after_a_number_of_steps():
    trainer = make(num=14, train={"max_steps": 4})
    trainer.fit()
    assert (trainer.step, trainer.total_steps) == (4, 4)
    assert records(trainer, "train/lr")[-1][1] < records(trainer, "train/lr")[0][1]  # the schedule is fitted to it


def test_the_loss_falls():
    trainer = make(train={"epochs": 20})
    trainer.fit()
    losses = [loss for _, loss in records(trainer, "train/loss")]
    assert losses[-1] < losses[0] / 4


def test_micro_batches_give_the_gradient_of_the_whole_batch():
    whole, parts = (make(train={"micro_batch_size": size}) for size in (None, 3))
    for trainer in (whole, parts):
        trainer.fit()
    for first, second in zip(weights(whole), weights(parts), strict=True):
        torch.testing.assert_close(first, second)
    for (_, first), (_, second) in zip(records(whole, "train/loss"), records(parts, "train/loss"), strict=True):
        assert first == pytest.approx(second)


def test_gradients_are_clipped_to_the_largest_norm():
    trainer = make(train={"clip_grad": 1e-3})
    norms = []
    step = trainer.optimizer.step

    def spy() -> None:
        norms.append(float(torch.stack([p.grad.norm() for p in trainer.module.parameters()]).norm()))
        step()

    trainer.optimizer.step = spy  # type: ignore[method-assign]
    trainer.fit()
    assert norms == pytest.approx([1e-3] * 9, rel=1e-3)


def test_logged_losses_are_means_since_the_last_report():
    each, rare = make(), make(log_every_steps=4)
    each.fit()
    rare.fit()
    losses = [loss for _, loss in records(each, "train/loss")]
    means = [(4, sum(losses[:4]) / 4), (8, sum(losses[4:8]) / 4), (9, losses[8])]
    assert records(rare, "train/loss") == [(step, pytest.approx(mean)) for step, mean in means]


@pytest.mark.parametrize("stop", range(1, 9))
def test_stopping_at_any_step_and_resuming_equals_never_stopping(tmp_path, stop):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    settings: dict[str, Any] = {"log_every_steps": 2, "train": {"micro_batch_size": 3}}
    whole = make(tmp_path / "whole", Brightness(noise=0.1), **settings)
    whole.fit()

    first = make(tmp_path / "parts", Brightness(noise=0.1), save_epochs=100, **settings)
    step = first.train_step

    def stopping(batch: Batch) -> None:
        step(batch)
        if first.step + 1 == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    first.train_step = stopping  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match=rf"^saved at step {stop}; --resume goes on from there$"):
        first.fit()
    second = make(tmp_path / "parts", Brightness(noise=0.1), **settings)
    last = CheckpointFolder(tmp_path / "parts/checkpoints").pointed("last")
    assert last is not None
    second.load(last)
    assert second.step == stop
    second.fit()
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))
    for name in ("train/loss", "train/lr", "val/error"):
        assert records(first, name) + records(second, name) == records(whole, name)
    assert second.best == whole.best
    assert second.seconds_before > 0


def test_the_first_signal_saves_and_the_second_acts_as_always(tmp_path):
    trainer = make(tmp_path, save_epochs=100)
    step = trainer.train_step
    found = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    as_always = signal.getsignal(signal.SIGINT)

    def interrupted(batch: Batch) -> None:
        step(batch)
        os.kill(os.getpid(), signal.SIGINT)
        while signal.getsignal(signal.SIGINT) is not as_always:
            time.sleep(0.001)  # or the two would be one
        os.kill(os.getpid(), signal.SIGINT)

    trainer.train_step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    signal.signal(signal.SIGINT, found)


def test_signals_are_left_as_they_were_found():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    make().fit()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_during_the_last_step_finishes_the_run(tmp_path):
    trainer = make(tmp_path)
    step = trainer.train_step

    def last(batch: Batch) -> None:
        step(batch)
        if trainer.step + 1 == trainer.total_steps:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.train_step = last  # type: ignore[method-assign]
    trainer.fit()
    assert trainer.checkpoints is not None
    last_saved = trainer.checkpoints.pointed("last")
    assert last_saved is not None
    assert last_saved.step == 9


def test_a_trainer_runs_in_a_thread_without_signals():
    trainer = make()
    thread = threading.Thread(target=trainer.fit)
    thread.start()
    thread.join()
    assert trainer.step == 9


@pytest.mark.parametrize(("measured", "best"), [([3.0, 2.0, 4.0], 6), ([3.0, float("nan"), 3.0], 3)])
def test_the_best_checkpoint_is_that_of_the_best_validation(tmp_path, measured, best):
    task = Brightness()
    task.measured = list(measured)
    trainer = make(tmp_path, task)
    trainer.fit()
    assert trainer.checkpoints is not None
    pointed = trainer.checkpoints.pointed("best")
    assert pointed is not None
    assert pointed.step == best
    assert trainer.best == min(value for value in measured if value == value)


def test_a_kill_between_the_two_pointers_is_mended_when_resuming(tmp_path, monkeypatch):
    trainer = make(tmp_path)
    point = CheckpointFolder.point

    def killed(self: CheckpointFolder, pointer: str, name: str) -> None:
        if pointer == "best":
            raise KeyboardInterrupt
        point(self, pointer, name)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(CheckpointFolder, "point", killed)
        trainer.fit()
    folder = CheckpointFolder(tmp_path / "checkpoints")
    last = folder.pointed("last")
    assert last is not None
    assert folder.pointed("best") is None
    make(tmp_path).load(last)
    assert folder.pointed("best") == last


def test_a_loss_that_is_no_number_names_its_first_step_and_saves_nothing(tmp_path):
    trainer = make(tmp_path, log_every_steps=100, eval_every_epochs=100)
    loss = trainer.task.loss

    def spoiled(module: nn.Module, batch: Batch) -> Tensor:
        return loss(module, batch) * (float("inf") if trainer.step == 4 else 1.0)

    trainer.task.loss = spoiled  # type: ignore[method-assign]
    with pytest.raises(NotFiniteError) as caught:
        trainer.fit()
    kept = tmp_path / "checkpoints/step-000003"
    rate = 1.0 * 4 / 256 * 0.5869  # half a cosine at 4 of 9 steps
    assert str(caught.value) == (
        f"the loss was not finite at step 5 (learning rate {rate:.3g}); the last good checkpoint is {kept}. Likely "
        "causes: a learning rate that is too high (lower --base-lr or raise train.warmup_epochs), no gradient clipping "
        "(set train.clip_grad to 1), values in the data that are no numbers, or bf16 (try --precision float32)"
    )
    assert caught.value.exit_code == 5
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["last", "step-000003"]


def test_weights_that_are_no_numbers_are_never_saved(tmp_path):
    trainer = make(tmp_path)
    trainer.fit()
    with torch.no_grad():
        next(trainer.module.parameters()).fill_(float("nan"))
    before = sorted((tmp_path / "checkpoints").iterdir())
    with pytest.raises(NotFiniteError, match="the loss was not finite at step 9"):
        trainer.save(best=True)
    assert sorted((tmp_path / "checkpoints").iterdir()) == before


def test_a_batch_larger_than_the_set_is_the_set_at_its_own_rate():
    trainer = make(num=3, train={"warmup_epochs": 1})
    trainer.fit()
    assert (trainer.steps_per_epoch, trainer.total_steps) == (1, 3)
    assert records(trainer, "train/lr")[0][1] == pytest.approx(3 / 256)


def test_a_set_without_samples_is_refused():
    with pytest.raises(DataError, match="there are no training samples"):
        make(num=0)


def fit_and_stop(trainer: Trainer, stop: int) -> None:
    """Train until a signal comes in a step, which is saved then."""
    step = trainer.train_step

    def stopping(batch: Batch) -> None:
        step(batch)
        if trainer.step + 1 == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.train_step = stopping  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        trainer.fit()


@pytest.mark.parametrize("stop", [2, 4])
def test_resuming_is_exact_where_the_last_batch_is_kept(tmp_path, stop):
    settings: dict[str, Any] = {"num": 14, "train": {"epochs": 2, "last_batch": "keep"}}
    whole = make(task=Brightness(noise=0.1), **settings)
    sizes: list[int] = []
    plain = whole.train_step
    whole.train_step = lambda batch: (sizes.append(len(batch)), plain(batch))[1]  # type: ignore[func-returns-value, method-assign, assignment]
    whole.fit()
    assert sizes == [3, 4, 3, 4] * 2

    first = make(tmp_path, Brightness(noise=0.1), save_epochs=100, **settings)
    fit_and_stop(first, stop)
    second = make(tmp_path, Brightness(noise=0.1), **settings)
    last = CheckpointFolder(tmp_path / "checkpoints").pointed("last")
    assert last is not None
    second.load(last)
    second.fit()
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))


def test_a_full_disk_under_a_tracker_is_one_sentence(tmp_path):
    trainer = make(tmp_path)

    def full(step: int, metrics: Mapping[str, float]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    trainer.trackers[0].log = full  # type: ignore[method-assign]
    with pytest.raises(MaeError, match="the disk is full; what was saved before is untouched"):
        trainer.fit()


def test_a_checkpoint_of_another_module_does_not_fit(tmp_path):
    make(tmp_path).fit()
    other = make(tmp_path, train={"ema_decay": None})
    other.module.add_module("more", nn.Linear(1, 1))
    last = CheckpointFolder(tmp_path / "checkpoints").pointed("last")
    assert last is not None
    with pytest.raises(MaeError, match=r"step-000009 does not fit this run: .*more\.weight"):
        other.load(last)


def test_without_validation_samples_nothing_is_measured():
    trainer = make(num_val=0)
    trainer.fit()
    assert records(trainer, "val/error") == []


def test_a_long_epoch_is_saved_within(tmp_path):
    trainer = make(tmp_path, checkpoint={"every_epochs": 100, "every_minutes": 1e-9})
    saved = []
    trainer.checkpoints.save = lambda step, *_: saved.append(step)  # type: ignore[union-attr, method-assign]
    trainer.fit()
    assert saved == list(range(1, 10))


class Interruptible(ResidentLoader):
    """A loader that does something before one of its batches."""

    act: Any = None
    before_batch = 0

    def _fetch(self, plan: Any, spec: Any) -> Any:
        for number, batch in enumerate(super()._fetch(plan, spec)):
            if self.act is not None and number == self.before_batch:
                self.act()
            yield batch


def interruptible(loader: Any, before_batch: int, act: Any) -> Interruptible:
    other = Interruptible(loader.split, loader.preprocess, loader.device, loader.seed)
    other.act, other.before_batch = act, before_batch
    return other


def worker_ends() -> None:
    raise LoadingError("a data worker was killed by SIGKILL; use fewer")


def data_never_come() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


@pytest.mark.parametrize("act", [worker_ends, data_never_come])
@pytest.mark.parametrize(("split", "before_batch", "step"), [("train", 4, 4), ("train", 6, 6), ("val", 0, 3)])
def test_when_data_fail_what_is_finished_is_saved_and_resumed_as_if_nothing_had_been(
    tmp_path, act, split, before_batch, step
):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = make(tmp_path / "whole", Brightness(noise=0.1))
    whole.fit()
    first = make(tmp_path / "parts", Brightness(noise=0.1), save_epochs=100)
    if split == "train":
        first.train_loader = interruptible(first.train_loader, before_batch, act)
    else:
        first.val_loader = interruptible(first.val_loader, before_batch, act)
    begin = time.monotonic()
    with pytest.raises(MaeError) as caught:
        first.fit()
    assert time.monotonic() - begin < 10
    told = "a data worker was killed by SIGKILL; use fewer; step {} is saved, and --resume goes on from there"
    if act is data_never_come:
        told = "saved at step {}; --resume goes on from there"
    assert str(caught.value) == told.format(step)

    second = make(tmp_path / "parts", Brightness(noise=0.1))
    last = CheckpointFolder(tmp_path / "parts/checkpoints").pointed("last")
    assert last is not None
    second.load(last)
    assert second.step == step
    second.fit()
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))
    for name in ("train/loss", "val/error"):
        assert records(first, name) + records(second, name) == records(whole, name)
    assert second.best == whole.best


def test_data_that_fail_before_the_first_step_leave_nothing_to_save(tmp_path):
    trainer = make(tmp_path)
    trainer.train_loader = interruptible(trainer.train_loader, 0, worker_ends)
    with pytest.raises(LoadingError, match=r"^a data worker was killed by SIGKILL; use fewer$"):
        trainer.fit()
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("where", ["step", "save"])
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out_leaves_the_last_good_checkpoint_alone(tmp_path, monkeypatch, where, error):
    trainer = make(tmp_path, save_epochs=1)

    def fails(*_: object) -> None:
        raise error

    def step(batch: Batch, step: Any = trainer.train_step) -> None:
        step(batch)
        if trainer.step == 4:
            if where == "step":
                fails()
            monkeypatch.setattr("maecli.training.checkpoint_folder.write_tensors", fails)

    trainer.train_step = step  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        trainer.fit()
    folder = CheckpointFolder(tmp_path / "checkpoints")
    last = folder.pointed("last")
    assert last is not None
    assert last.step == 3
    assert sorted(path.name for path in folder.path.iterdir()) == ["best", "last", "step-000003"]
    again = make(tmp_path)
    again.load(last)
    assert again.step == 3


BETTER_THEN_WORSE = [3.0, 2.0, 2.5, 2.0, 9.0, 1.0]


def impatient(folder: Path, measured: Sequence[float] = BETTER_THEN_WORSE, **settings: Any) -> Trainer:
    task = Brightness(noise=0.1)
    task.measured = list(measured)
    return make(folder, task, train={"epochs": 6, "patience": 2}, log_every_steps=2, **settings)


def test_patience_ends_a_run_whose_metric_gets_no_better(tmp_path):
    trainer = impatient(tmp_path)
    trainer.fit()
    assert (trainer.step, trainer.total_steps, trainer.best) == (12, 18, 2.0)
    assert trainer.ending() == (
        "stopped at epoch 4 of 6: no better error on val for 2 validations; figures are of epoch 4's weights"
    )
    folder = CheckpointFolder(tmp_path / "checkpoints")
    assert [folder.pointed(name).step for name in ("last", "best")] == [12, 6]  # type: ignore[union-attr]
    assert sum(step == 12 for step, _ in records(trainer, "train/loss")) == 1


def test_the_schedule_is_that_of_the_whole_run():
    whole, stopped = (make(task=Brightness(), train={"epochs": 6, "patience": patience}) for patience in (None, 1))
    assert isinstance(stopped.task, Brightness)
    stopped.task.measured = [1.0, 2.0]
    for trainer in (whole, stopped):
        trainer.fit()
    assert stopped.step == 6
    assert records(stopped, "train/lr") == records(whole, "train/lr")[:6]


@pytest.mark.parametrize("stop", [4, 7, 9, 11])
def test_patience_goes_on_where_it_was_after_a_restart(tmp_path, stop):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = impatient(tmp_path / "whole")
    whole.fit()
    first = impatient(tmp_path / "parts", save_epochs=100)
    fit_and_stop(first, stop)
    assert isinstance(first.task, Brightness)
    second = impatient(tmp_path / "parts", first.task.measured)
    last = CheckpointFolder(tmp_path / "parts/checkpoints").pointed("last")
    assert last is not None
    second.load(last)
    second.fit()
    assert (second.step, second.ending()) == (whole.step, whole.ending())
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))


def test_a_run_that_is_out_of_patience_stays_so(tmp_path):
    first = impatient(tmp_path)
    first.fit()
    again = impatient(tmp_path)
    last = CheckpointFolder(tmp_path / "checkpoints").pointed("last")
    assert last is not None
    again.load(last)
    again.fit()
    assert (again.step, again.ending()) == (first.step, first.ending())


def test_a_run_that_reaches_its_end_did_not_stop_early(tmp_path):
    trainer = impatient(tmp_path, [3.0, 2.5, 2.0, 1.5, 2.0, 2.0])
    trainer.fit()
    assert (trainer.step, trainer.ending()) == (18, "")


def test_patience_needs_validations():
    with pytest.raises(SpecError) as caught:
        make(num_val=0, train={"patience": 3})
    assert str(caught.value) == (
        "train.patience (3) ends a run by its validations, and there is no val split; leave out --patience, or give "
        "data with one"
    )


def test_with_patience_the_time_left_is_an_upper_bound(capsys):
    told = []
    trainer = make(train={"patience": 2})
    trainer.expect(Durations(1, 1, 1))
    trainer.progress.update = lambda step, total, parts, *_, **__: told.append(parts[1])  # type: ignore[method-assign]
    trainer.fit()
    assert told
    assert all(part.startswith("at most ") for part in told)


def test_the_time_left_is_told_from_the_first_step_where_it_was_planned():
    told = []
    trainer = make()
    trainer.progress.update = lambda step, total, parts, *_, **__: told.append(parts)  # type: ignore[method-assign]
    trainer.expect(Durations(step_s=60, validation_s=600, save_s=0))
    trainer.step = trainer.total_steps - 2
    trainer.fit()
    assert told[0][1] == "22 min 00 s left", "two steps, the last validation, and that at the very end"
    told.clear()
    trainer = make()
    trainer.progress.update = lambda step, total, parts, *_, **__: told.append(parts)  # type: ignore[method-assign]
    trainer.fit()
    assert told[0][0] == "epoch 1.7 of 3", "it is measured first"
    assert told[-1][1].endswith(" left")


def test_a_run_is_extended_from_its_weights_average_and_moments(tmp_path):
    first = make(tmp_path, Brightness(noise=0.1))
    first.fit()
    last = CheckpointFolder(tmp_path / "checkpoints").pointed("last")
    assert last is not None
    (tmp_path / "more").mkdir()
    more = make(tmp_path / "more", Brightness(noise=0.1), train={"epochs": 6})
    more.extend(last)
    assert (more.step, more.begin, more.total_steps, more.best) == (9, 9, 18, None)
    assert all(torch.equal(one, other) for one, other in zip(weights(first), weights(more), strict=True))
    before, after = (optimizer_tensors(trainer.optimizer) for trainer in (first, more))
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    more.fit()
    assert [step for step, _ in records(more, "train/loss")] == list(range(10, 19))
    own = CheckpointFolder(tmp_path / "more/checkpoints")
    assert own.pointed("best") is not None
    assert more.seconds_before == 0

    again = make(tmp_path / "more", train={"epochs": 6})  # as after a restart
    last = own.pointed("last")
    assert last is not None
    again.load(last)
    assert again.begin == 9


def test_no_more_epochs_than_it_had_extend_nothing(tmp_path):
    make(tmp_path).fit()
    last = CheckpointFolder(tmp_path / "checkpoints").pointed("last")
    assert last is not None
    with pytest.raises(SpecError) as caught:
        make().extend(last)
    assert str(caught.value) == (
        "--epochs 3 is not more than the 3 that the run to extend has; give more, such as --epochs 6"
    )
