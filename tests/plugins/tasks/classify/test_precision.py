from __future__ import annotations

import math

import numpy as np
import pytest
from maecli_plugins.tasks.classify import precision
from maecli_plugins.tasks.classify.precision import (
    average_precision,
    bootstrap_counts,
    random_precision,
    resampled_means,
)


def ranking(truth):
    """Return falling scores and these truths."""
    return np.arange(len(truth), 0, -1.0), np.array(truth)


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ([1, 1, 0, 0], 1.0),
        ([1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([0, 0, 1], 1 / 3),
        ([0, 1, 1], 2 / 3),  # the precision of 1/2 at the first hit is raised to 2/3
        ([-1, 1, -1, 0, 1], (1 + 2 / 3) / 2),
        ([1], 1.0),
    ],
)
def test_average_precision_is_the_area_under_the_raised_curve(truth, expected):
    scores, truth = ranking(truth)
    assert average_precision(scores, truth) == pytest.approx(expected)
    shuffled = np.random.default_rng(0).permutation(len(truth))
    assert average_precision(scores[shuffled], truth[shuffled]) == pytest.approx(expected)


def test_samples_of_one_score_come_together_in_whatever_order():
    assert average_precision(np.zeros(5), np.array([1, 0, 0, 1, 0])) == pytest.approx(2 / 5)
    assert average_precision(np.array([2, 2, 1]), np.array([0, 1, 1])) == pytest.approx(2 / 3)
    assert average_precision(np.array([2, 2, 1]), np.array([1, 0, 1])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("truth", [[], [0, 0], [-1]])
def test_a_class_without_positives_has_no_average_precision(truth):
    assert math.isnan(average_precision(*ranking(truth)))
    assert np.isnan(average_precision(*ranking(truth), np.ones((len(truth), 3)))).all()


def test_counting_samples_several_times_is_having_them_several_times():
    generator = np.random.default_rng(0)
    scores, truth = generator.integers(0, 6, 12).astype(float), generator.integers(-1, 2, 12)
    times = generator.integers(0, 3, (12, 20))
    areas = average_precision(scores, truth, times)
    for column, area in zip(times.T, areas, strict=True):
        ids = np.repeat(np.arange(12), column)
        assert area == pytest.approx(average_precision(scores[ids], truth[ids]), nan_ok=True)


def test_a_bootstrap_draws_as_many_samples_as_there_are_in_every_resample(monkeypatch):
    (whole,) = bootstrap_counts(10, 30)
    assert whole.shape == (10, 30)
    assert (whole.sum(0) == 10).all()
    assert len({tuple(column) for column in whole.T.tolist()}) > 25
    monkeypatch.setattr(precision, "BLOCK_CELLS", 80)
    parts = list(bootstrap_counts(10, 30))
    assert [part.shape for part in parts] == [(10, 8), (10, 8), (10, 8), (10, 6)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_resampled_means_lie_around_the_mean_and_closer_to_it_with_more_samples():
    generator = np.random.default_rng(0)
    widths = []
    for num in (50, 800):
        truth = (generator.random((num, 3)) < 0.3).astype(np.int8)
        scores = truth + generator.normal(size=(num, 3))
        drawn = resampled_means(scores, truth, resamples=200)
        value = np.mean([average_precision(scores[:, q], truth[:, q]) for q in range(3)])
        assert drawn.min() < value < drawn.max()
        assert np.array_equal(resampled_means(scores, truth, resamples=200), drawn)
        widths.append(drawn.std())
    assert widths[1] < widths[0] / 2


def test_a_resample_without_a_positive_is_left_out():
    truth = np.array([[1], [0]])  # resamples: both, the positive twice, or the negative twice, which has no precision
    scores = np.array([[0.0], [1.0]])
    (times,) = bootstrap_counts(2, 1000)
    drawn = [1.0 if column[0] == 2 else 0.5 for column in times.T if column[0]]
    assert resampled_means(scores, truth).tolist() == drawn
    assert set(resampled_means(-scores, truth)) == {1.0}


def test_a_class_that_a_resample_lacks_is_left_out_of_its_mean():
    truth = np.array([[1, 0], [1, 1], [1, 0]])  # the second class in one sample alone
    scores = np.array([[0, 2.0], [0, 3.0], [0, 1.0]])
    assert set(resampled_means(scores, truth)) == {1.0}


def test_a_random_ranking_is_better_than_the_share_of_positives_where_they_are_few():
    assert random_precision(5, 5) == 1.0
    exact = np.mean([1 / rank for rank in range(1, 51)])  # one positive: the mean of 1 / its rank
    assert random_precision(1, 50, rankings=4000) == pytest.approx(exact, rel=0.1)
    assert random_precision(500, 5000) == pytest.approx(0.1, abs=0.02)
