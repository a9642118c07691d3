"""Periods are found where they are, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from maecli.modalities.series.study.seasons import (
    autocorrelation,
    cycle_of,
    find_seasons,
    moving_average,
    without_seasons,
)

STEPS = np.arange(1500)


def noise(seed: int = 0, num: int = len(STEPS)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=num)


def periods(values: np.ndarray, likely=()) -> list[int]:
    return [season.period for season in find_seasons(values, likely)]


def day_and_week() -> np.ndarray:
    return np.sin(2 * np.pi * STEPS / 24) + 1.5 * (STEPS // 24 % 7 >= 5) + 0.3 * noise()


def test_a_day_and_a_week_are_found_without_being_proposed():
    assert periods(day_and_week()) == [24, 168]


def test_gaps_do_not_matter():
    values = day_and_week()
    values[300:340], values[noise(1) > 1] = np.nan, np.nan
    assert periods(values) == [24, 168]


@pytest.mark.parametrize("level", [0.02 * STEPS, np.cumsum(0.3 * noise(2)), 1e4 + 0 * STEPS])
def test_a_level_that_moves_hides_no_season(level):
    assert periods(np.sin(2 * np.pi * STEPS / 37) + 0.3 * noise() + level) == [37]


def test_what_a_day_consists_of_is_no_season_of_its_own():
    half = 0.4 * np.sin(2 * np.pi * STEPS / 12)
    assert periods(np.sin(2 * np.pi * STEPS / 24) + half + 0.2 * noise()) == [24]


def test_a_day_that_is_expected_is_told_rather_than_the_halves_that_it_repeats():
    halves, day = np.sin(2 * np.pi * STEPS / 12), 0.2 * np.sin(2 * np.pi * STEPS / 24)
    assert periods(halves + day + 0.3 * noise(), [24, 168]) == [24]
    assert periods(halves + 0.3 * noise(), [24, 168]) == [12]


def test_rare_peaks_repeat_too():
    assert periods(5.0 * (STEPS % 50 < 3) + noise()) == [50]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["white", "smooth", "walk", "walk of a walk", "trend", "constant"])
def test_nothing_repeats_in_noise(kind, seed):
    white = noise(seed)
    values = {
        "white": white,
        "smooth": np.convolve(white, np.ones(20), "same"),
        "walk": np.cumsum(white),
        "walk of a walk": np.cumsum(np.cumsum(white)),
        "trend": 0.1 * STEPS + white,
        "constant": np.full(len(STEPS), 0.1, np.float32).astype(float),
    }[kind]
    assert periods(values, [24, 168]) == []


def test_a_season_needs_cycles():
    few = np.sin(2 * np.pi * STEPS / 400)
    assert periods(few) == []
    assert periods(np.full(5, np.nan)) == []


def test_without_its_seasons_the_rest_is_left():
    rest = 0.3 * noise()
    values = np.sin(2 * np.pi * STEPS / 24) + rest
    left = without_seasons(values, find_seasons(values))
    assert np.abs(left - rest).max() < 0.15
    np.testing.assert_allclose(cycle_of(values, 24)[:24], cycle_of(values, 24)[24:48])


def test_the_average_of_a_period_is_in_its_middle():
    line = STEPS.astype(float)
    for width in (5, 6):
        mean = moving_average(line, width)
        np.testing.assert_allclose(mean[10:20], line[10:20])
        assert np.isnan(mean[[0, -1]]).all()


def test_autocorrelation_is_that_of_known_pairs():
    values = np.array([1.0, -1.0, np.nan, -1.0, 1.0, -1.0, 1.0, np.nan])
    apart = values - np.nanmean(values)
    at_two = np.mean([apart[i] * apart[i + 2] for i in (1, 3, 4)])
    assert autocorrelation(values, 2)[[0, 2]] == pytest.approx([1, at_two / np.nanmean(apart**2)])
