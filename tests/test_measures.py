from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from maecli import measures
from maecli.measures import bootstrap_interval, confusion, psnr, wilson_interval

TRUTH = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1], [255, 255, 2, 2]], dtype=torch.uint8)
GUESS = torch.tensor([[0, 0, 1, 1], [0, 3, 1, 0], [1, 2, 2, 0]], dtype=torch.uint8)


@pytest.mark.parametrize("at_once", [1 << 22, 5])
def test_the_matrix_counts_judged_pixels_by_truth_and_prediction(at_once, monkeypatch):
    monkeypatch.setattr(measures, "CELLS_AT_ONCE", at_once)
    assert confusion(TRUTH, GUESS, 4).tolist() == [[3, 1, 0, 1], [1, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_many_classes_do_not_overflow():
    mask = torch.full((2, 2), 254, dtype=torch.uint8)
    assert confusion(mask, mask, 255)[254, 254] == 4


@pytest.mark.parametrize(("hits", "num"), [(0, 10), (7, 10), (10, 10), (950, 1000)])
def test_the_interval_of_a_share_is_wilsons(hits, num):
    z, p = 1.959963984540054, hits / num
    middle = (p + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * math.sqrt(p * (1 - p) / num + z**2 / (4 * num**2))
    assert wilson_interval(hits, num) == pytest.approx((max(0, middle - half), min(1, middle + half)), abs=1e-9)


def test_the_interval_of_resamples_is_as_wide_as_they_differ_and_stays_a_share():
    assert bootstrap_interval(0.5, np.array([0.4, 0.6])) == pytest.approx((0.5 - 0.196, 0.5 + 0.196))
    assert bootstrap_interval(0.9, np.array([0.4, 0.6])) == pytest.approx((0.704, 1.0))
    assert bootstrap_interval(0.9, np.array([0.4, 0.6]), math.inf) == pytest.approx((0.704, 1.096))
    assert bootstrap_interval(0.1, np.array([0.4, 0.6])) == pytest.approx((0.0, 0.296))


def test_psnr_is_ten_decibels_per_factor_ten_and_ends_at_120():
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(0.0) == pytest.approx(120)
