from __future__ import annotations

import math

import numpy as np
import pytest
from maecli_plugins.tasks.impute.intervals import means_of, resampled
from maecli_plugins.tasks.impute.scores import Scores, extent, moments

from maecli import api

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


def test_sums_of_rows_add_up_to_the_metrics():
    random = np.random.default_rng(0)
    truth, filled = random.integers(0, 3, (20, 3)).astype(float), random.integers(0, 3, (20, 3)).astype(float)
    scores = Scores(filled, truth, random.random((20, 3)) < 0.5, [0, 0, 3])
    means = means_of(scores.by_row().sum(0))
    assert means["rmse"] == pytest.approx(scores.rmse([0, 1]))
    assert means["mae"] == pytest.approx(scores.mae([0, 1]))
    assert means["accuracy"] == pytest.approx(scores.accuracy([2]))


def test_an_interval_is_as_wide_as_many_standard_errors_of_the_mean():
    errors = np.random.default_rng(0).normal(size=(400, 1))
    drawn = resampled(Scores(errors, np.zeros_like(errors), np.ones_like(errors, bool), [0]).by_row())
    low, high = api.measure.bootstrap_interval(abs(errors).mean(), drawn["mae"], np.inf)
    assert (high - low) / 2 == pytest.approx(1.96 * abs(errors).std() / 20, rel=0.1)


def test_mean_and_deviation_or_least_and_span_of_what_is_known():
    rows = np.array([[1.0, 2.0, 7.0], [3.0, NAN, 7.0], [NAN, 0.0, 7.0]])
    mean, deviation = moments(rows, [0, 3, 0])
    assert (mean.tolist(), deviation.tolist()) == ([2.0, 0.0, 7.0], [1.0, 1.0, 1.0])
    least, span = extent(rows, [0, 3, 0])
    assert (least.tolist(), span.tolist()) == ([1.0, 0.0, 7.0], [2.0, 1.0, 1.0])
