from __future__ import annotations

import pytest

from maecli.reports.canvas import new_axes, whole_ticks


@pytest.mark.parametrize(
    ("xs", "whole"), [([2, 4], True), ([5, 6], True), ([0, 800], True), ([0.1, 0.7], False), ([3, 3], False)]
)
def test_epochs_are_counted_in_whole_numbers_where_two_are_in_sight(xs: list[float], whole: bool) -> None:
    _, axes = new_axes(1000, 400)
    axes.plot(xs, xs)
    low, high = axes.get_xlim()
    whole_ticks(axes)
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert len(ticks) >= 2
    assert all(float(tick).is_integer() for tick in ticks) == whole
