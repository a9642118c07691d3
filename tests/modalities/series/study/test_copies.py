"""Columns that are others, some steps earlier or later, are found; those that merely move together are not."""

from __future__ import annotations

import numpy as np
import pytest

from maecli.modalities.series.study.copies import changes, find_copy


def noise(seed: int, num: int = 800) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=num)


def changed(values: np.ndarray) -> np.ndarray:
    found = changes(values, values)
    assert found is not None
    return found


@pytest.mark.parametrize("lag", [-7, 0, 3])
@pytest.mark.parametrize("sign", [1, -2])
def test_a_shifted_copy_is_found_at_its_lag(lag, sign):
    walk = np.cumsum(noise(0))
    copy = sign * np.roll(walk, lag) + 10 + 0.05 * noise(1)
    copy[50:60] = np.nan
    found = find_copy(changed(walk), changed(copy), 20)
    assert found is not None
    assert found.lag == lag
    assert np.sign(found.correlation) == np.sign(sign)


@pytest.mark.parametrize("seed", range(5))
def test_two_walks_are_no_copies(seed):
    assert find_copy(changed(np.cumsum(noise(seed))), changed(np.cumsum(noise(seed + 50))), 200) is None


def test_a_shared_trend_makes_no_copy():
    trend = 0.1 * np.arange(800)
    first, second = trend + noise(1), trend + noise(2)
    assert np.corrcoef(first, second)[0, 1] > 0.99
    assert find_copy(changed(first), changed(second), 50) is None


def test_what_is_left_of_rounding_is_not_compared():
    wave = np.sin(np.arange(800) / 5)
    assert changes(1e-6 * noise(0), wave) is None
    assert changes(np.full(800, np.nan), wave) is None
