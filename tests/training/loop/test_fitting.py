"""What fits into memory is found by trying, and nothing that is learnt depends on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toy_training import Brightness, last_of, make, records

from maecli.data.batch import Batch
from maecli.errors import OutOfMemory
from maecli.run.begin.micro_batch import largest_micro_batch
from maecli.training.loop import fitting
from maecli.training.loop.fitting import free_now, halves, largest_that_fits, rehearse
from maecli.training.loop.learner import Learner

CPU = torch.device("cpu")
FULL = "CUDA out of memory. Tried to allocate 20.00 MiB"


class Narrow(Brightness):
    """A task with room for so many samples at once, from a step on."""

    def __init__(self, room: int, begin: int = 0) -> None:
        super().__init__(noise=0.1)
        self.room, self.begin = room, begin

    def loss(self, module: Any, batch: Any) -> Any:
        if module.training and len(batch) > self.room and batch.progress * 9 > self.begin - 0.5:
            raise torch.OutOfMemoryError(FULL)
        return super().loss(module, batch)


@pytest.mark.parametrize(("size", "sizes"), [(64, [64, 32, 16, 8, 4, 2, 1]), (9, [9, 4, 2, 1]), (1, [1])])
def test_halves_are_even_so_that_pairs_stay_together(size, sizes):
    assert halves(size) == sizes


@pytest.mark.parametrize(("room", "found"), [(64, 64), (63, 32), (5, 4), (1, 1), (0, None)])
def test_a_gpu_is_tried_from_the_whole_batch_down(room, found):
    tried = []

    def attempt(size: int) -> None:
        tried.append(size)
        if size > room:
            raise torch.OutOfMemoryError(FULL)

    assert largest_that_fits(halves(64), attempt, None) == found
    assert tried == [size for size in halves(64) if size >= (found or 1)]


@pytest.mark.parametrize(("room", "found"), [(10_000, 64), (4_000, 32), (3_000, 16), (700, 4)])
def test_a_cpu_is_tried_from_one_sample_up_as_far_as_peaks_let_expect(monkeypatch, room, found):
    peak = [0]

    def attempt(size: int) -> None:
        peak[0] = 500 + 100 * size
        assert peak[0] <= 500 + room, "the system ends the process here"

    monkeypatch.setattr(fitting, "resident_bytes", lambda: 500)
    monkeypatch.setattr(fitting, "peak_bytes", lambda: peak[0])
    assert largest_that_fits(halves(64), attempt, room) == found


def test_a_cpu_with_a_limit_refuses_like_a_gpu():
    def attempt(size: int) -> None:
        if size > 8:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")

    assert largest_that_fits(halves(64), attempt, 10**15) == 4, "and keeps a margin"


@pytest.mark.parametrize(("after", "found"), [(4, 4), (3, 2), (0, None)])
def test_what_a_refusal_leaves_in_pieces_is_tried_again(after, found):
    room, tried = [8], []

    def attempt(size: int) -> None:
        tried.append(size)
        if size > room[0]:
            room[0] = after
            raise MemoryError

    assert largest_that_fits(halves(64), attempt, 10**15) == found
    assert tried[:5] == [1, 2, 4, 8, 16]
    assert found is None or tried[-fitting.AGAIN :] == [found] * fitting.AGAIN


def test_other_errors_are_no_lack_of_room():
    def attempt(size: int) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        largest_that_fits([2, 1], attempt, None)


def test_a_step_that_does_not_fit_names_what_does_and_saves_what_is_finished(tmp_path):
    trainer = make(tmp_path, Narrow(room=2, begin=4), save_epochs=100)
    told = (
        r"^memory is used up by 4 samples at once; --micro-batch-size 2 fits, as was tried, and means the same: "
        r"gradients are summed over the parts of a batch; step 4 is saved, and --resume goes on from there$"
    )
    with pytest.raises(OutOfMemory, match=told):
        trainer.fit()
    assert last_of(tmp_path).step == 4
    again = make(tmp_path, Narrow(room=2, begin=4), train={"micro_batch_size": 2})
    again.load(last_of(tmp_path))
    again.fit()
    assert again.step == 9
    assert [step for step, _ in records(trainer, "train/loss") + records(again, "train/loss")] == list(range(1, 10))


def test_a_step_of_which_not_one_sample_fits_says_so(tmp_path):
    with pytest.raises(OutOfMemory, match=r"not even one sample fits, so a smaller --img-size or model is needed$"):
        make(tmp_path, Narrow(room=0)).fit()


def test_the_largest_micro_batch_is_that_of_the_largest_batch(monkeypatch):
    monkeypatch.setattr(fitting, "free_bytes", lambda *_: None)
    assert largest_micro_batch(make(task=Narrow(room=3), train={"micro_batch_size": "auto"})) == 2
    assert largest_micro_batch(make(task=Narrow(room=0), train={"micro_batch_size": "auto"})) is None
    trainer = make(task=Narrow(room=100), train={"micro_batch_size": "auto"})
    asked: list[tuple[int, ...]] = []
    batches = trainer.train_loader.train_batches

    def noted(augment: Any, size: int, *steps: Any) -> Any:
        asked.append(steps[:2])
        return batches(augment, size, *steps)

    monkeypatch.setattr(trainer.train_loader, "train_batches", noted)
    assert largest_micro_batch(trainer) == 4
    assert largest_micro_batch(trainer, num_processes=2) == 2
    assert asked == 2 * [(2, 3)], "the last batch of the first epoch: none is larger"


def test_processes_of_one_machine_share_its_memory(monkeypatch):
    monkeypatch.setattr(fitting, "free_bytes", lambda num_processes: 1000 // num_processes)
    monkeypatch.setattr(fitting, "resident_bytes", lambda: 0)
    monkeypatch.setattr(fitting, "forget_peak_bytes", lambda: True)
    tried: list[int] = []
    monkeypatch.setattr(fitting, "peak_bytes", lambda: 100 * tried[-1])
    assert largest_that_fits([8, 4, 2, 1], tried.append, free_now(CPU)) == 8
    monkeypatch.setattr(fitting, "processes_here", lambda: 2)
    assert largest_that_fits([8, 4, 2, 1], tried.append, free_now(CPU)) == 4


def test_a_limit_of_the_process_counts_until_it_refused_something(monkeypatch):
    monkeypatch.setattr(fitting, "free_bytes", lambda *_: 1000)
    monkeypatch.setattr(fitting, "allowed_bytes", lambda: 100)
    assert free_now(CPU) == 100
    assert free_now(CPU, refused=True) == 1000
    assert free_now(torch.device("cuda")) is None


def test_where_weights_were_being_changed_nothing_is_saved(tmp_path, monkeypatch):
    trainer = make(tmp_path, save_epochs=100)

    def fails(*_: object) -> None:
        if trainer.step == 4:
            raise torch.OutOfMemoryError(FULL)

    assert trainer.learner.average is not None
    monkeypatch.setattr(trainer.learner.average, "update", fails)
    with pytest.raises(torch.OutOfMemoryError):
        trainer.fit()
    assert last_of(tmp_path).step == 3, "that of the best validation, and no later one"


def test_a_step_that_does_not_fit_leaves_running_statistics_as_they_were():
    trainer, module = make(), torch.nn.BatchNorm1d(4)
    learner = Learner(module, trainer.spec, CPU, torch.float32)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    batches = trainer.train_loader.train_batches(trainer.spec.augment, 4, 0, 1, False)

    def loss_of(running: torch.nn.Module, batch: Batch) -> torch.Tensor:
        running(torch.arange(8.0).reshape(2, 4))
        raise torch.OutOfMemoryError(FULL)

    with pytest.raises(torch.OutOfMemoryError):
        learner.learn(loss_of, lambda _: None, [next(batches)], 4, 0.1, 0)
    assert module.num_batches_tracked == 1
    learner.take_back()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_an_attempt_changes_nothing_that_is_learnt():
    trainer = make()
    trainer.learner.module = trainer.learner.running = torch.nn.Sequential(
        torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)
    )
    trainer.learner.optimizer = torch.optim.AdamW(trainer.module.parameters())
    before = {name: value.clone() for name, value in trainer.module.state_dict().items()}
    batches = trainer.train_loader.train_batches(trainer.spec.augment, 4, 0, 1, False)
    rehearse(trainer.learner, trainer.task.loss, next(batches), 2)
    assert all(torch.equal(value, before[name]) for name, value in trainer.module.state_dict().items())
    assert all(parameter.grad is None for parameter in trainer.module.parameters())
    assert not trainer.learner.optimizer.state
