from __future__ import annotations

import numpy as np
import pytest
import torch
from maecli_plugins.tasks.classify.temperature import bins, expected_calibration_error, fit_temperature, reliability


def drawn(num, scale):
    """Return logits that are `scale` times those by which labels were drawn."""
    torch.manual_seed(0)
    logits = 2 * torch.randn(num, 3)
    return scale * logits, torch.multinomial(logits.softmax(-1), 1).flatten()


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 4.0])
def test_logits_are_divided_by_what_makes_them_too_large(scale):
    assert fit_temperature(*drawn(10_000, scale)) == pytest.approx(scale, rel=0.12)


def test_a_few_samples_that_are_all_right_make_nobody_more_certain():
    logits = 2.0 * torch.eye(3)[[0, 1, 2, 0, 1]]
    assert fit_temperature(logits, logits.argmax(-1)) == 1
    many = logits.repeat(200, 1)
    assert fit_temperature(many, many.argmax(-1)) < 0.5


def test_certain_and_wrong_samples_make_less_certain_and_one_does_not_decide():
    logits = 8.0 * torch.eye(2)[[0] * 10]
    labels = torch.tensor([0] * 7 + [1] * 3)
    assert 3 < fit_temperature(logits, labels) <= 10
    assert fit_temperature(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])) == pytest.approx(1)


def test_bins_have_as_many_samples_and_ten_at_least():
    confidence = np.linspace(1, 0.4, 25)
    assert [num for num, _, _ in bins(confidence, confidence > 0.5)] == [13, 12]
    assert len(bins(np.linspace(0, 1, 1000), np.ones(1000))) == 15
    assert len(bins(np.array([0.7]), np.array([True]))) == 1


def test_the_calibration_error_is_the_mean_distance_of_probability_and_share():
    confidence = np.array([0.6] * 10 + [0.9] * 10)
    right = np.array([1] * 5 + [0] * 5 + [1] * 10)
    assert expected_calibration_error(confidence, right) == pytest.approx((0.1 + 0.1) / 2)
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) == 0
    assert reliability(confidence, right).rows == (
        (10, pytest.approx(0.6), pytest.approx(0.5)),
        (10, pytest.approx(0.9), 1.0),
    )
