"""The remaining time is told from what steps, validations and saves took."""

from __future__ import annotations

import pytest

from maecli.training.loop.pace import PLANNED, Durations, Pace, num_due


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch) -> Watch:
    made = Watch()
    monkeypatch.setattr("maecli.training.loop.pace.time.monotonic", made)
    return made


def take(watch, pace, *seconds):
    for each in seconds:
        watch.now += each
        pace.stepped()


def test_nothing_is_estimated_before_a_few_steps_and_the_first_ones_count_for_nothing(watch):
    pace = Pace(4)
    for seconds in (90, 9, 1, 1):
        assert pace.remaining(10, 1, 1) is None
        take(watch, pace, seconds)
    take(watch, pace, 4)
    assert pace.remaining(2, 0, 0) == 4


def test_what_was_planned_is_told_at_once_and_gives_way_to_what_is_measured(watch):
    pace = Pace(4, Durations(step_s=1, validation_s=7, save_s=2))
    assert pace.remaining(10, 2, 3) == 10 + 2 * 7 + 3 * 2
    take(watch, pace, 90, 9)
    assert pace.remaining(10, 2, 3) == 10 + 2 * 7 + 3 * 2, "the first steps of a process are slow"
    take(watch, pace, *[2] * PLANNED)
    assert pace.remaining(10, 0, 0) == pytest.approx(15)
    take(watch, pace, *[2] * 9 * PLANNED)
    assert pace.remaining(10, 0, 0) == pytest.approx(19, abs=0.2)
    with pace.validating():
        watch.now += 3
    assert pace.remaining(0, 2, 1) == 2 * 3 + 2


def test_validations_and_saves_are_counted_and_are_no_part_of_a_step(watch):
    pace = Pace(6)
    take(watch, pace, 5, 5, 1, 1, 1)
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
