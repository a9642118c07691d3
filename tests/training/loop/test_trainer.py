"""What a run does from its first step to its last, and what it says and keeps of that."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from toy_training import Brightness, last_of, make, records, weights

from maecli.data.batch import Batch
from maecli.errors import DataError, MaeError, NotFiniteError
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.loop.pace import Durations


def test_a_run_has_the_steps_of_its_epochs():
    trainer = make(num=14)
    assert (trainer.schedule.steps_per_epoch, trainer.schedule.total_steps) == (3, 9)
    trainer.fit()
    assert [step for step, _ in records(trainer, "train/loss")] == list(range(1, 10))
    assert [step for step, _ in records(trainer, "val/error")] == [3, 6, 9]
    assert records(trainer, "train/epoch")[-1] == (9, 3.0)


def test_a_run_can_end_after_a_number_of_steps():
    trainer = make(num=14, train={"max_steps": 4})
    trainer.fit()
    assert (trainer.step, trainer.schedule.total_steps) == (4, 4)
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
    step = trainer.learner.optimizer.step

    def spy() -> None:
        norms.append(float(torch.stack([p.grad.norm() for p in trainer.module.parameters()]).norm()))
        step()

    trainer.learner.optimizer.step = spy  # type: ignore[method-assign]
    trainer.fit()
    assert norms == pytest.approx([1e-3] * 9, rel=1e-3)


def test_logged_losses_are_means_since_the_last_report():
    each, rare = make(), make(log_every_steps=4)
    each.fit()
    rare.fit()
    losses = [loss for _, loss in records(each, "train/loss")]
    means = [(4, sum(losses[:4]) / 4), (8, sum(losses[4:8]) / 4), (9, losses[8])]
    assert records(rare, "train/loss") == [(step, pytest.approx(mean)) for step, mean in means]


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
    assert (trainer.schedule.steps_per_epoch, trainer.schedule.total_steps) == (1, 3)
    assert records(trainer, "train/lr")[0][1] == pytest.approx(3 / 256)


def test_a_set_without_samples_is_refused():
    with pytest.raises(DataError, match="there are no training samples"):
        make(num=0)


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
    last = last_of(tmp_path)
    with pytest.raises(MaeError, match=r"step-000009 does not fit this run: .*more\.weight"):
        other.load(last)


def test_without_validation_samples_nothing_is_measured():
    trainer = make(num_val=0)
    trainer.fit()
    assert records(trainer, "val/error") == []


def test_a_long_epoch_is_saved_within(tmp_path):
    trainer = make(tmp_path, checkpoint={"every_epochs": 100, "every_minutes": 1e-9})
    saved = []
    trainer.checkpoints.save = lambda snapshot, *_: saved.append(snapshot.step)  # type: ignore[union-attr, method-assign]
    trainer.fit()
    assert saved == list(range(1, 10))


def test_the_time_left_is_told_from_the_first_step_where_it_was_planned():
    told = []
    trainer = make()
    trainer.telling.progress.update = lambda step, total, parts, *_, **__: told.append(parts)  # type: ignore[method-assign]
    trainer.telling.expect(Durations(step_s=60, validation_s=600, save_s=0))
    trainer.step = trainer.schedule.total_steps - 2
    trainer.fit()
    assert told[0][1] == "22 min 00 s left", "two steps, the last validation, and that at the very end"
    told.clear()
    trainer = make()
    trainer.telling.progress.update = lambda step, total, parts, *_, **__: told.append(parts)  # type: ignore[method-assign]
    trainer.fit()
    assert told[0][0] == "epoch 1.7 of 3", "it is measured first"
    assert told[-1][1].endswith(" left")
