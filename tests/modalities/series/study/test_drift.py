"""Splits that differ from train are told from those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from maecli.modalities.series.study.drift import drift_of


def smooth(seed: int, num: int = 600) -> np.ndarray:
    white = np.random.default_rng(seed).normal(size=num + 60)
    return np.convolve(white, 0.8 ** np.arange(30), "valid")[:num]


@pytest.mark.parametrize("seed", range(10))
def test_later_parts_of_the_same_process_do_not_drift(seed):
    values = smooth(seed)
    drift = drift_of([values[:400]], [values[400:]])
    assert drift is not None
    assert (drift.shifts, drift.spreads, drift.leaves) == (False, False, False)


def test_a_mean_that_moves_is_told_in_deviations_of_train():
    train, later = smooth(0), smooth(1) + 5
    drift = drift_of([train[:300], train[300:]], [later])
    assert drift is not None
    assert drift.shifts
    assert not drift.spreads
    assert drift.shift == pytest.approx((later.mean() - train.mean()) / train.std())


@pytest.mark.parametrize("times", [0.4, 2.5])
def test_a_spread_that_changes_is_told(times):
    drift = drift_of([smooth(0)], [times * smooth(1)])
    assert drift is not None
    assert drift.spreads
    assert not drift.shifts
    assert drift.spread == pytest.approx(times, rel=0.2)


def test_values_beyond_those_of_train_are_counted():
    train, later = smooth(0), smooth(1)
    later[:30] = 100
    later[30:60] = np.nan
    drift = drift_of([train], [later])
    assert drift is not None
    assert drift.leaves
    assert drift.outside == pytest.approx(30 / 570)


@pytest.mark.parametrize(("train", "later"), [(np.ones(200), smooth(0)), (smooth(0), smooth(1)[:10])])
def test_of_too_little_nothing_is_said(train, later):
    assert drift_of([train], [later]) is None
