"""What a metric says of itself beside its baselines."""

from __future__ import annotations

import pytest

from maecli.results import Metric


def metric(value: float, better: str = "lower", **baselines: float) -> Metric:
    return Metric(name="x", label="x", value=value, better=better, baselines=baselines)


def test_the_best_baseline_is_the_one_that_is_hardest_to_beat():
    assert metric(0.5, mean=0.9, last=0.8).best_baseline == ("last", 0.8)
    assert metric(0.5, "higher", chance=0.1, majority=0.3).best_baseline == ("majority", 0.3)
    assert metric(0.5).best_baseline is None
    assert metric(0.5).beats_baselines is None
    assert metric(0.8, mean=0.9, last=0.8).beats_baselines is False, "as good is not better"


def test_what_an_error_saves_is_told_where_it_beats_all():
    share, name = metric(0.6, mean=0.9, last=0.8).error_saved or (0.0, "")
    assert (share, name) == (pytest.approx(0.25), "last")
    for none in (metric(0.85, mean=0.9, last=0.8), metric(0.6), metric(0.6, "higher", chance=0.1)):
        assert none.error_saved is None
