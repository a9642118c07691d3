"""The pace of a run is that of the steps which wait for their data, not of those that find them ready."""

from __future__ import annotations

import pytest

from maecli.run.begin.timing import END_S, Timing, pace


def test_steps_that_find_their_batches_ready_do_not_count():
    assert pace([5.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]) == 2.0


def test_waiting_that_comes_in_bursts_counts_and_a_step_that_was_held_up_hardly_does():
    assert pace([1.0] * 4 + [1.0, 3.0, 1.0, 3.0]) == 2.0
    assert pace([1.0] * 10 + [1.0] * 9 + [100.0]) == pytest.approx(1.2)


def test_a_single_step_is_its_own_pace():
    assert pace([0.5]) == 0.5


def test_a_run_takes_what_its_parts_take_and_its_end():
    timing = Timing(first_s=1.0, step_s=0.1, validation_s=2.0, save_s=0.5, memory_bytes=0)
    assert timing.training_s(100, 3, 2) == pytest.approx(1 + 10 + 6 + 1)
    assert timing.total_s(100, 3, 2) == pytest.approx(18 + END_S)
