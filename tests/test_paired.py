from __future__ import annotations

import numpy as np
import pytest

from maecli.paired import paired_bootstrap, paired_shares


def hits(both: int, mine: int, theirs: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    cells = [[1, 1]] * both + [[1, 0]] * mine + [[0, 1]] * theirs + [[0, 0]] * neither
    one, other = np.array(cells, np.int8).T
    return one, other


def test_the_test_of_shares_is_a_coin_for_each_sample_that_one_run_alone_hits():
    difference = paired_shares(*hits(3, 5, 0, 2))
    assert difference.value == pytest.approx(0.5)
    assert difference.p_value == pytest.approx(2 * 0.5**5)
    assert not difference.is_told
    assert paired_shares(*hits(3, 8, 0, 2)).is_told
    assert (difference.test, difference.num_samples) == ("exact McNemar test", 10)


def test_two_runs_that_hit_the_same_do_not_differ():
    difference = paired_shares(*hits(7, 0, 0, 3))
    assert (difference.value, difference.p_value) == (0.0, 1.0)
    assert difference.interval[0] <= 0 <= difference.interval[1]
    assert paired_shares(*hits(4, 0, 0, 0)).value == 0


def test_exchanging_the_runs_turns_the_difference_around():
    difference, other = paired_shares(*hits(20, 9, 3, 8)), paired_shares(*hits(20, 3, 9, 8))
    assert other.value == pytest.approx(-difference.value)
    assert other.interval == pytest.approx((-difference.interval[1], -difference.interval[0]))
    assert other.p_value == pytest.approx(difference.p_value)


def test_the_more_the_hits_go_together_the_closer_the_difference_is_known():
    together, apart = paired_shares(*hits(60, 20, 0, 20)), paired_shares(*hits(48, 32, 12, 8))
    assert together.value == apart.value == pytest.approx(0.2)
    assert np.ptp(together.interval) < np.ptp(apart.interval)
    assert together.p_value < apart.p_value


def test_nineteen_of_twenty_intervals_of_shares_hold_the_true_difference():
    generator, held, num = np.random.default_rng(0), 0, 400
    for _ in range(num):
        easy = generator.random(40)  # a sample that is easy for one is for the other
        one, other = easy + 0.3 * generator.random(40) < 0.8, easy + 0.3 * generator.random(40) < 0.6
        low, high = paired_shares(one, other).interval
        held += low <= 0.2 <= high
    assert held / num > 0.92


def test_few_samples_cannot_tell_whatever_they_say():
    for num, is_told in ((3, False), (5, False), (6, True)):
        difference = paired_bootstrap(0.2, np.full(100, 0.2), num)
        assert difference.p_value == pytest.approx(2 * 0.5**num)
        assert difference.is_told is is_told
    assert paired_bootstrap(0.0, np.zeros(100), 50).p_value == 1.0


def test_resamples_of_few_samples_give_wider_intervals():
    resampled = 0.1 + 0.05 * np.random.default_rng(0).standard_normal(1000)
    few, many = (paired_bootstrap(0.1, resampled, num) for num in (4, 10_000))
    assert np.ptp(many.interval) == pytest.approx(2 * 1.96 * resampled.std(), rel=1e-2)
    assert np.ptp(few.interval) > 1.8 * np.ptp(many.interval)
    assert many.is_told
    assert not few.is_told
