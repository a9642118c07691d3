"""The remaining time is told from what steps, validations and saves took."""

from __future__ import annotations

import pytest

from maecli.training.pace import Pace, num_due


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch) -> Watch:
    made = Watch()
    monkeypatch.setattr("maecli.training.pace.time.monotonic", made)
    return made


def take(watch, pace, *seconds):
    for each in seconds:
        watch.now += each
        pace.stepped()


def test_nothing_is_estimated_before_the_first_step(watch):
    assert Pace(4).remaining(10, 1, 1) is None


def test_the_first_step_counts_only_until_there_is_another(watch):
    pace = Pace(0)
    take(watch, pace, 9)
    assert pace.remaining(2, 0, 0) == 18, "slow steps are told at once"
    take(watch, pace, 1, 3)
    assert pace.remaining(2, 0, 0) == 4


def test_the_first_few_of_fast_steps_tell_nothing(watch):
    pace = Pace(0)
    take(watch, pace, 1, 0.1, 0.1, 0.1)
    assert pace.remaining(100, 0, 0) is None
    assert pace.remaining(0, 0, 0) == 0
    take(watch, pace, 0.1)
    assert pace.remaining(100, 0, 0) == pytest.approx(10)


def test_validations_and_saves_are_counted_and_are_no_part_of_a_step(watch):
    pace = Pace(6)
    take(watch, pace, 5, 1, 1)
    assert pace.remaining(10, 2, 0) == 10 + 2 * 6 / 3, "a forward pass is a third of a step"
    with pace.validating():
        watch.now += 7
    with pace.saving():
        watch.now += 2
    take(watch, pace, 1)
    assert pace.remaining(10, 2, 3) == 10 + 2 * 7 + 3 * 2


@pytest.mark.parametrize(
    ("step", "total", "every", "num"),
    [
        pytest.param(0, 10, 5, 2, id="all"),
        pytest.param(5, 10, 5, 1, id="one-is-done"),
        pytest.param(4, 10, 4, 2, id="and-at-the-end"),
        pytest.param(0, 3, 10, 1, id="only-at-the-end"),
        pytest.param(10, 10, 3, 0, id="none"),
    ],
)
def test_what_is_due_still_happens(step, total, every, num):
    assert num_due(step, total, every) == num == sum(i % every == 0 or i == total for i in range(step + 1, total + 1))
