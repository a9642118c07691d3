from __future__ import annotations

import numpy as np
import pytest

from maecli.modalities.series.steps import Backwards, TooFar, find_steps


def times(*texts):
    return np.array(texts, "datetime64[us]")


def hours(*numbers):
    return np.datetime64("2020-03-01T00", "us") + (np.array(numbers) * 3_600_000_000).astype("timedelta64[us]")


def test_rows_at_even_steps_stand_on_each():
    steps = find_steps(hours(0, 1, 2, 3))
    assert steps.step == np.timedelta64(1, "h")
    assert steps.places.tolist() == [0, 1, 2, 3]
    assert (steps.length, steps.num_missing, steps.num_between) == (4, 0, 0)
    assert steps.time(4) == np.datetime64("2020-03-01T04")


def test_a_gap_is_missing_and_nothing_is_filled():
    steps = find_steps(hours(0, 1, 4, 5))
    assert (steps.length, steps.num_missing) == (6, 2)
    spread = steps.spread(np.array([[1, 2, 3, 4]], np.float32))
    np.testing.assert_array_equal(spread, [[1, 2, np.nan, np.nan, 3, 4]])


def test_a_row_between_steps_stands_on_none():
    steps = find_steps(hours(0, 1, 2.5, 3, 4.01, 5))
    assert steps.places.tolist() == [0, 1, -1, 3, 4, 5]
    assert (steps.num_between, steps.num_missing) == (1, 1)
    assert np.isnan(steps.spread(np.ones((1, 6), np.float32))).tolist() == [[False, False, True, False, False, False]]


def test_of_two_rows_at_one_step_the_nearer_one_stands_on_it():
    assert find_steps(hours(0, 1, 2, 2.04, 3, 4)).places.tolist() == [0, 1, 2, -1, 3, 4]
    assert find_steps(hours(0, 1, 1.96, 2, 3, 4)).places.tolist() == [0, 1, -1, 2, 3, 4]


@pytest.mark.parametrize(
    ("texts", "step", "following"),
    [
        (("2020-01-31", "2020-02-29"), np.timedelta64(29, "D"), "2020-03-29"),
        (("2020-01-01", "2020-02-01", "2020-03-01"), np.timedelta64(1, "M"), "2020-04-01"),
        (("2020-01-15", "2020-04-15", "2020-10-15", "2021-01-15"), np.timedelta64(3, "M"), "2021-04-15"),
        (("2019-07-01", "2020-07-01", "2021-07-01"), np.timedelta64(12, "M"), "2022-07-01"),
    ],
)
def test_months_quarters_and_years_are_even_steps(texts, step, following):
    steps = find_steps(times(*texts))
    assert steps.step == step
    assert steps.num_between == 0
    assert steps.time(steps.length) == np.datetime64(following)


def test_days_within_one_month_are_days():
    assert find_steps(times("2020-01-01", "2020-01-02", "2020-01-03")).step == np.timedelta64(1, "D")


def test_a_time_that_does_not_rise_is_told_by_its_row():
    with pytest.raises(Backwards) as error:
        find_steps(hours(0, 1, 3, 2, 4))
    assert error.value.row == 3
    with pytest.raises(Backwards) as error:
        find_steps(hours(0, 1, 1, 2))
    assert error.value.row == 2


def test_a_time_far_from_the_others_is_told_and_not_made_into_a_gap():
    with pytest.raises(TooFar) as error:
        find_steps(hours(0, 1, 2, 3, 1000))
    assert error.value.row == 4


def test_a_single_row_is_a_step():
    assert find_steps(hours(5)).length == 1


@pytest.mark.parametrize(
    ("step", "words", "season"),
    [
        (np.timedelta64(1, "h"), "1 hour", 24),
        (np.timedelta64(15, "m"), "15 minutes", 96),
        (np.timedelta64(1, "D"), "1 day", 7),
        (np.timedelta64(7, "D"), "1 week", 52),
        (np.timedelta64(250, "ms"), "0.25 seconds", 345_600),
        (np.timedelta64(7, "h"), "7 hours", None),
    ],
)
def test_a_step_has_words_and_a_season(step, words, season):
    found = find_steps(np.datetime64("2020-03-01", "us") + np.arange(4) * step)
    assert (found.words, found.season) == (words, season)


def test_so_have_months_and_years():
    assert (
        find_steps(times("2020-01-01", "2020-02-01")).words,
        find_steps(times("2020-01-01", "2020-02-01")).season,
    ) == (
        "1 month",
        12,
    )
    quarters = find_steps(times("2020-01-01", "2020-04-01", "2020-07-01"))
    assert (quarters.words, quarters.season) == ("3 months", 4)
    years = find_steps(times("2019-01-01", "2020-01-01", "2021-01-01"))
    assert (years.words, years.season) == ("1 year", None)
