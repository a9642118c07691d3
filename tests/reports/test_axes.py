from __future__ import annotations

import pytest

from maecli.reports.canvas import end_at_whole, new_axes, tick_to_whole, whole_ticks


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


@pytest.mark.parametrize("ys", [[0, 1], [0.97, 1], [1, 1], [0, 0], [0, 0.004], [0.4, 0.6], [0.2, 0.98]])
def test_percent_end_at_0_and_100(ys: list[float]) -> None:
    _, axes = new_axes(1000, 400)
    axes.plot([0, 1], ys)
    end_at_whole(axes)
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert len(ticks) > 1
    assert -1e-9 < min(ticks) <= max(ticks) < 1 + 1e-9
    assert low <= min(ys) <= max(ys) <= high


def test_what_lies_beyond_is_shown() -> None:
    _, axes = new_axes(1000, 400)
    axes.plot([0, 1], [-0.5, 1.5])
    end_at_whole(axes)
    assert axes.get_ylim()[0] < -0.5
    assert axes.get_ylim()[1] > 1.5


@pytest.mark.parametrize(("lengths", "last"), [([0.3, 1.0], 1.0), ([0.1, 0.2], 0.2), ([0.5, 1.4], 1.4)])
def test_ticks_of_bars_end_at_100_percent_where_texts_have_room(lengths: list[float], last: float) -> None:
    _, axes = new_axes(1000, 400)
    axes.barh([0, 1], lengths)
    axes.set_xlim(0, 1.23 * max(lengths))
    tick_to_whole(axes)
    assert max(axes.get_xticks()) == pytest.approx(last, abs=0.05)
    assert axes.get_xlim()[1] == 1.23 * max(lengths)
