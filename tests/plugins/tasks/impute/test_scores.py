from __future__ import annotations

import math

import numpy as np
import pytest
from maecli_plugins.tasks.impute.baselines import CHAINED, NEIGHBOURS, SIMPLE, Baselines
from maecli_plugins.tasks.impute.scores import Scores

NAN = np.nan


def test_only_hidden_cells_count_and_only_where_something_was_filled_in():
    truth = np.array([[0.0, 5.0, 1.0], [2.0, 5.0, 0.0], [9.0, 5.0, 1.0]])
    filled = np.array([[3.0, 7.0, 1.0], [-2.0, 0.0, 1.0], [NAN, 0.0, 2.0]])
    hidden = np.array([[True, False, True], [True, False, True], [True, False, False]])
    scores = Scores(filled, truth, hidden, [0, 0, 3])
    assert scores.num.tolist() == [2, 0, 2]
    assert scores.numbers == [0, 1]
    assert scores.categories == [2]
    assert scores.rmse([0]) == scores.rmse([0, 1]) == pytest.approx(math.sqrt((9 + 16) / 2))
    assert scores.mae([0]) == pytest.approx(3.5)
    assert math.isnan(scores.rmse([1]))
    assert scores.accuracy([2]) == 0.5


def test_a_distribution_that_is_only_in_another_order_is_no_distance_away():
    truth = np.array([[0.0], [1.0], [4.0]])
    hidden = np.ones_like(truth, bool)
    assert Scores(truth[::-1], truth, hidden, [0]).wasserstein([0]) == 0
    assert Scores(truth + 2, truth, hidden, [0]).wasserstein([0]) == pytest.approx(2)
    assert Scores(np.zeros_like(truth), truth, hidden, [0]).wasserstein([0]) == pytest.approx(5 / 3)


@pytest.fixture
def line():
    """Rows of x, 2x, and whether x is above 0."""
    x = np.linspace(-1, 1, 60)
    return np.stack([x, 2 * x, (x > 0).astype(float)], 1)


def test_the_simple_guess_is_the_mean_and_the_most_frequent_category():
    known = np.array([[1.0, 2.0], [3.0, 2.0], [NAN, 0.0], [NAN, NAN]])
    assert Baselines(known, [0, 3]).simple().tolist() == [2.0, 2.0]
    assert Baselines(np.full((3, 2), NAN), [0, 3]).simple().tolist() == [0.0, 0.0]


def test_neighbours_and_regression_fill_in_what_the_other_cells_tell(line):
    rows = line[[5, 50]].copy()
    truth = rows.copy()
    rows[0, 1], rows[1, 2] = NAN, NAN
    made = Baselines(line, [0, 0, 2]).filled(rows)
    assert set(made) == {SIMPLE, NEIGHBOURS, CHAINED}
    for name in (NEIGHBOURS, CHAINED):
        np.testing.assert_allclose(made[name], truth, atol=0.2)
        assert made[name][1, 2] == 1


def test_what_would_take_long_is_left_out(line, monkeypatch):
    assert set(Baselines(line, [0, 0, 2]).filled(line, slow=())) == {SIMPLE}
    assert set(Baselines(line[:5], [0, 0, 2]).filled(line)) == {SIMPLE}
    assert set(Baselines(line, [0, 0, 200]).filled(line)) == {SIMPLE, NEIGHBOURS}
    monkeypatch.setattr("maecli_plugins.tasks.impute.baselines.MOST_ROWS", 4)
    made = Baselines(line, [0, 0, 2]).filled(line)[NEIGHBOURS]
    assert (~np.isnan(made)).all(1).nonzero()[0].tolist() == [0, 20, 39, 59]
