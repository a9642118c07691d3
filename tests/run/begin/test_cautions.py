"""Schedules that hardly train are told before they do."""

import pytest

from maecli.run.begin.cautions import cautions
from maecli.schema import TrainSpec


def told(num=240, **train):
    spec = TrainSpec(**train)
    per_epoch = max(1, num // spec.batch_size)
    return cautions(spec, num, "pictures", per_epoch, per_epoch * spec.epochs)


def test_a_sound_schedule_is_not_commented_on():
    assert told(batch_size=16, epochs=60, warmup_epochs=5) == []


def test_an_epoch_of_one_step_is_told():
    [line] = told(batch_size=128, epochs=200, warmup_epochs=10)
    assert line.startswith("an epoch is one step, since a batch of 128 holds most of the 240 pictures")


@pytest.mark.parametrize(("epochs", "steps"), [(1, "1 step in all"), (2, "2 steps in all")])
def test_few_steps_are_told(epochs, steps):
    assert any(line.startswith(steps) for line in told(batch_size=240, epochs=epochs))


@pytest.mark.parametrize(("warmup", "share"), [(60, "all of"), (40, "more than half of")])
def test_a_warm_up_that_leaves_nothing_is_told(warmup, share):
    [line] = told(batch_size=16, epochs=60, warmup_epochs=warmup)
    assert f"rises through {share} the run, {warmup * 15} of 900 steps" in line


def test_a_warm_up_longer_than_the_run_is_told():
    [line] = told(batch_size=16, epochs=60, warmup_epochs=80)
    assert line.startswith("the learning rate rises through all 900 steps, since the warm-up is of 1,200;")
