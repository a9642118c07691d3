"""Levels and spreads that move are told from those that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from maecli.modalities.series.study.levels import CRITICAL_LEVEL, kpss, level_of


def noise(seed: int, num: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=num)


def smooth(seed: int) -> np.ndarray:
    return np.convolve(noise(seed, 1100), 0.8 ** np.arange(40), "same")[:1000]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("make", [noise, smooth])
def test_noise_keeps_its_level_and_its_spread(make, seed):
    level = level_of(make(seed))
    assert level is not None
    assert (level.course, level.spreads) == ("keep", False)


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_wanders(seed):
    level = level_of(np.cumsum(noise(seed)))
    assert level is not None
    assert level.course == "wander"
    assert level.kpss > CRITICAL_LEVEL


@pytest.mark.parametrize(("slope", "course"), [(0.01, "rise along a line"), (-0.01, "fall along a line")])
def test_a_trend_goes_along_a_line(slope, course):
    values = slope * np.arange(1000) + noise(1)
    values[100:200] = np.nan
    level = level_of(values)
    assert level is not None
    assert level.course == course


def test_a_spread_that_doubles_is_told():
    values = noise(3)
    values[500:] *= 2
    level = level_of(values)
    assert level is not None
    assert level.spreads
    assert level.spread == pytest.approx(2, rel=0.1)
    assert level.course == "keep"


@pytest.mark.parametrize("values", [np.ones(500), np.arange(20.0), np.full(500, np.nan)])
def test_of_nothing_that_moves_nothing_is_said(values):
    assert level_of(values) is None


def test_the_statistic_is_that_of_its_equation():
    apart = np.array([1.0, -1.0, 2.0, -2.0])  # whose partial sums are 1, 0, 2, 0
    assert kpss(apart, 0) == pytest.approx(5 / 16 / 2.5)
    assert kpss(apart, 1) == pytest.approx(5 / 16 / (2.5 - 7 / 4))
