"""A finished run is trained longer, from its weights on."""

from __future__ import annotations

import pytest
import torch
from toy_training import Brightness, last_of, make, records, weights

from maecli.errors import SpecError
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.loop.optim import optimizer_tensors


def test_a_run_is_extended_from_its_weights_average_and_moments(tmp_path):
    first = make(tmp_path, Brightness(noise=0.1))
    first.fit()
    last = last_of(tmp_path)
    (tmp_path / "more").mkdir()
    more = make(tmp_path / "more", Brightness(noise=0.1), train={"epochs": 6})
    more.extend(last)
    assert (more.step, more.begin, more.schedule.total_steps, more.best) == (9, 9, 18, None)
    assert all(torch.equal(one, other) for one, other in zip(weights(first), weights(more), strict=True))
    before, after = (optimizer_tensors(trainer.learner.optimizer) for trainer in (first, more))
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    more.fit()
    assert [step for step, _ in records(more, "train/loss")] == list(range(10, 19))
    own = CheckpointFolder(tmp_path / "more/checkpoints")
    assert own.pointed("best") is not None
    assert more.seconds_before == 0

    again = make(tmp_path / "more", train={"epochs": 6})  # as after a restart
    again.load(last_of(tmp_path / "more"))
    assert again.begin == 9


def test_no_more_epochs_than_it_had_extend_nothing(tmp_path):
    make(tmp_path).fit()
    last = last_of(tmp_path)
    with pytest.raises(SpecError) as caught:
        make().extend(last)
    assert str(caught.value) == (
        "--epochs 3 is not more than the 3 that the run to extend has; give more, such as --epochs 6"
    )
