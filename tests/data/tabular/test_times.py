from __future__ import annotations

import numpy as np
import pytest

from maecli.data.tabular.missing import Missing
from maecli.data.tabular.table import TextColumn
from maecli.data.tabular.times import NotATime, find_time_format, read_times


def column(*cells):
    made = TextColumn("time")
    made.extend(cells)
    return made


def read(*cells):
    """Return the times of a column as ISO text, and the format."""
    form = find_time_format(column(*cells), Missing())
    assert form is not None
    return np.datetime_as_string(read_times(column(*cells), form), "m").tolist(), form


@pytest.mark.parametrize(
    ("cells", "second"),
    [
        (("2016-07-01 00:00:00", "2016-07-01 01:00:00"), "2016-07-01T01:00"),
        (("2016-07-01T00:00", "2016-07-01T00:15"), "2016-07-01T00:15"),
        (("2016-07-01", "2016-07-02"), "2016-07-02T00:00"),
        (("2016/07/01 10:00", "2016/07/01 10:30"), "2016-07-01T10:30"),
        (("01.07.2016 10:00", "01.07.2016 11:00"), "2016-07-01T11:00"),
        (("07/30/2016", "07/31/2016"), "2016-07-31T00:00"),
        (("30/07/2016 01:00", "31/07/2016 01:00"), "2016-07-31T01:00"),
        (("20160701", "20160702"), "2016-07-02T00:00"),
        (("30.07.16 10:00", "31.07.16 10:00"), "2016-07-31T10:00"),
        (("07/30/16", "07/31/16"), "2016-07-31T00:00"),
        (("01 Jul 2016", "02 Jul 2016"), "2016-07-02T00:00"),
        (("2016-07", "2016-08"), "2016-08-01T00:00"),
        (("Jul 2016", "Aug 2016"), "2016-08-01T00:00"),
        (("07/01/2016 11:00 AM", "07/13/2016 01:00 PM"), "2016-07-13T13:00"),
        (("2016-07-01 00:00:00.250", "2016-07-01 00:00:00.500"), "2016-07-01T00:00"),
        (("2016-07-01T00:00:00Z", "2016-07-01T01:00:00Z"), "2016-07-01T01:00"),
        (("2016-07-01 00:00:00+02:00", "2016-07-01 01:00:00+02:00"), "2016-07-01T01:00"),
    ],
)
def test_times_are_read_and_written_as_the_column_has_them(cells, second):
    times, form = read(*cells)
    assert times[1] == second
    assert [form.text(time) for time in read_times(column(*cells), form)] == [*cells]


def test_the_order_of_day_and_month_is_that_in_which_times_rise():
    times, form = read("30/1/2020", "1/2/2020", "2/2/2020")
    assert (times[1], form.ambiguous) == ("2020-02-01T00:00", False)
    times, form = read("1/12/2020", "2/12/2020", "3/11/2020")
    assert (times[2], form.ambiguous) == ("2020-03-11T00:00", False)
    times, form = read("3/1/2020", "4/1/2020")
    assert (times[1], form.ambiguous) == ("2020-04-01T00:00", True)


def test_times_of_several_zones_are_told_in_utc():
    times, form = read("2016-10-30 02:00:00+02:00", "2016-10-30 02:00:00+01:00")
    assert times == ["2016-10-30T00:00", "2016-10-30T01:00"]
    assert form.text(np.datetime64("2016-10-30T02:00")) == "2016-10-30 02:00:00+00:00"


@pytest.mark.parametrize(
    "cells", [("1.5", "2.5"), ("2019", "2020"), ("north", "south"), ("", "NA"), ("2016-07-01", "x")]
)
def test_other_things_are_no_times(cells):
    assert find_time_format(column(*cells), Missing()) is None


def test_a_row_without_a_time_is_told():
    cells = column("2016-07-01", "", "2016-07-03")
    form = find_time_format(cells, Missing())
    with pytest.raises(NotATime) as error:
        read_times(cells, form)
    assert error.value.row == 1
