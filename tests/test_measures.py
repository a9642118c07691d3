from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from maecli import measures
from maecli.measures import (
    average_precision,
    bootstrap_counts,
    mean_precision_interval,
    random_precision,
    ssim_map,
    wilson_interval,
)


def picture(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_picture_is_wholly_similar_to_itself():
    x = picture(0, 2, 3, 12, 16)
    similarity = ssim_map(x, x)
    assert similarity.shape == x.shape
    assert torch.allclose(similarity, torch.ones_like(x), atol=1e-6)


def test_two_flat_pictures_differ_by_their_brightness_alone():
    similarity = ssim_map(torch.full((1, 1, 8, 8), 0.2), torch.full((1, 1, 8, 8), 0.6))
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert torch.allclose(similarity, torch.full_like(similarity, expected), atol=1e-3)


def test_similarity_is_the_formula_on_gaussian_windows():
    x, y = picture(1, 1, 1, 14, 11), picture(2, 1, 1, 14, 11)

    def blur(values):
        return gaussian_filter(values, 1.5, mode="mirror", truncate=3.5)

    a, b = x[0, 0].double().numpy(), y[0, 0].double().numpy()
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, both = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    expected /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    assert np.abs(ssim_map(x, y)[0, 0].numpy() - expected).max() < 1e-4


def test_similarity_is_symmetric_and_at_most_one():
    x, y = picture(1, 2, 1, 10, 10), picture(2, 2, 1, 10, 10)
    assert torch.allclose(ssim_map(x, y), ssim_map(y, x), atol=1e-6)
    assert ssim_map(x, y).max() <= 1 + 1e-6
    assert ssim_map(x, 1 - x).mean() < 0


def test_each_channel_and_sample_is_measured_alone():
    x, y = picture(1, 2, 2, 10, 10), picture(2, 2, 2, 10, 10)
    assert torch.allclose(ssim_map(x, y)[1:, 1:], ssim_map(x[1:, 1:], y[1:, 1:]), atol=1e-6)


@pytest.mark.parametrize("size", [(5, 9), (9, 4)])
def test_a_picture_that_the_window_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match=rf"SSIM needs pictures of more than 5 pixels a side, not \({size[0]}, "):
        ssim_map(torch.zeros(1, 1, *size), torch.zeros(1, 1, *size))


@pytest.mark.parametrize(("hits", "num"), [(0, 10), (7, 10), (10, 10), (950, 1000)])
def test_the_interval_of_a_share_is_wilsons(hits, num):
    z, p = 1.959963984540054, hits / num
    middle = (p + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * math.sqrt(p * (1 - p) / num + z**2 / (4 * num**2))
    assert wilson_interval(hits, num) == pytest.approx((max(0, middle - half), min(1, middle + half)), abs=1e-9)


def test_ssim_is_the_same_under_autocast():
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.01 + 0.9
    y = x.mean((2, 3), keepdim=True).expand_as(x).contiguous()
    plain = ssim_map(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ssim_map(x, y), plain)


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
    monkeypatch.setattr(measures, "BLOCK_CELLS", 80)
    parts = list(bootstrap_counts(10, 30))
    assert [part.shape for part in parts] == [(10, 8), (10, 8), (10, 8), (10, 6)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_the_interval_of_a_mean_precision_shrinks_with_more_samples():
    generator = np.random.default_rng(0)
    widths = []
    for num in (50, 800):
        truth = (generator.random((num, 3)) < 0.3).astype(np.int8)
        scores = truth + generator.normal(size=(num, 3))
        low, high = mean_precision_interval(scores, truth, resamples=200)
        value = np.mean([average_precision(scores[:, q], truth[:, q]) for q in range(3)])
        assert low < value < high
        assert mean_precision_interval(scores, truth, resamples=200) == (low, high)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_interval_is_as_wide_as_the_resamples_differ_and_stays_within_its_range():
    truth = np.array([[1], [0]])  # resamples: both, the positive twice, or the negative twice, which has no precision
    scores = np.array([[0.0], [1.0]])
    (times,) = bootstrap_counts(2, 1000)
    drawn = np.array([1.0 if column[0] == 2 else 0.5 for column in times.T if column[0]])
    low, high = mean_precision_interval(scores, truth)
    assert low == pytest.approx(max(0, 0.5 - 1.96 * drawn.std()))
    assert high == pytest.approx(0.5 + 1.96 * drawn.std())
    assert mean_precision_interval(-scores, truth) == (1.0, 1.0)


def test_a_class_that_a_resample_lacks_is_left_out_of_its_mean():
    truth = np.array([[1, 0], [1, 1], [1, 0]])  # the second class in one sample alone
    scores = np.array([[0, 2.0], [0, 3.0], [0, 1.0]])
    assert mean_precision_interval(scores, truth) == (1.0, 1.0)
    for num in (3, 0):
        assert all(math.isnan(end) for end in mean_precision_interval(np.zeros((num, 2)), np.zeros((num, 2))))


def test_a_random_ranking_is_better_than_the_share_of_positives_where_they_are_few():
    assert random_precision(5, 5) == 1.0
    exact = np.mean([1 / rank for rank in range(1, 51)])  # one positive: the mean of 1 / its rank
    assert random_precision(1, 50, rankings=4000) == pytest.approx(exact, rel=0.1)
    assert random_precision(500, 5000) == pytest.approx(0.1, abs=0.02)
