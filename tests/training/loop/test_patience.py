"""A run ends where its metric on val gets no better."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import Brightness, fit_and_stop, last_of, make, records, weights

from maecli.data.batch import Batch
from maecli.errors import Interrupted, SpecError
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.loop.pace import Durations
from maecli.training.loop.trainer import Trainer

BETTER_THEN_WORSE = [3.0, 2.0, 2.5, 2.0, 9.0, 1.0]


def impatient(folder: Path, measured: Sequence[float] = BETTER_THEN_WORSE, **settings: Any) -> Trainer:
    task = Brightness(noise=0.1)
    task.measured = list(measured)
    return make(folder, task, train={"epochs": 6, "patience": 2}, **{"log_every_steps": 2} | settings)


def test_patience_ends_a_run_whose_metric_gets_no_better(tmp_path):
    trainer = impatient(tmp_path)
    trainer.fit()
    assert (trainer.step, trainer.schedule.total_steps, trainer.best) == (12, 18, 2.0)
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
    second.load(last_of(tmp_path / "parts"))
    second.fit()
    assert (second.step, second.ending()) == (whole.step, whole.ending())
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))


def test_stopped_in_its_last_validation_it_reports_the_loss_that_one_that_never_stopped_does(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = impatient(tmp_path / "whole", log_every_steps=5)
    whole.fit()
    first = impatient(tmp_path / "parts", save_epochs=100, log_every_steps=5)
    step = first.train_step

    def stopping(batch: Batch) -> None:
        step(batch)
        first.stop.signal = signal.SIGTERM if first.step == 11 else None

    first.train_step = stopping  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        first.fit()
    assert isinstance(first.task, Brightness)
    second = impatient(tmp_path / "parts", first.task.measured, log_every_steps=5)
    second.load(last_of(tmp_path / "parts"))
    assert (second.step, second.validation_due) == (12, True)
    second.fit()
    for name in ("train/loss", "val/error"):
        assert records(first, name) + records(second, name) == records(whole, name)
    assert records(whole, "train/loss")[-1][0] == 12


def test_a_run_that_is_out_of_patience_stays_so(tmp_path):
    first = impatient(tmp_path)
    first.fit()
    again = impatient(tmp_path)
    again.load(last_of(tmp_path))
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
    trainer.telling.expect(Durations(1, 1, 1))
    trainer.telling.progress.update = lambda step, total, parts, *_, **__: told.append(parts[1])  # type: ignore[method-assign]
    trainer.fit()
    assert told
    assert all(part.startswith("at most ") for part in told)
