"""Files of series with their times: what is forecast from, and what is written of what follows."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from maecli.data.card import DataCard
from maecli.errors import BrokenSample
from maecli.modalities.series.modality import Series

CARD = DataCard(
    name="toy",
    title="toy",
    modality="series",
    fields=("image", "target"),
    channels=2,
    size=(4,),
    dtype="float32",
    channel_names=("flow", "level"),
    targets=("level",),
    horizon=3,
    mean=(0.5, 0.5),
    std=(0.2, 0.2),
    split_sizes={"train": 1},
    split_origin="made up",
)


def write(path, times, delimiter=","):
    lines = [delimiter.join(("when", "level", "site", "flow"))]
    lines += [delimiter.join((time, str(10 * row), "north", str(row))) for row, time in enumerate(times)]
    path.write_text("\n".join(lines))


def rows_of(values, card, source):
    suffix, contents = Series().encode(np.array(values, np.float32), card, source)
    assert suffix == ".csv"
    return list(csv.reader(io.StringIO(contents.decode())))


def test_the_last_window_of_each_file_is_forecast_from(tmp_path):
    write(tmp_path / "a.csv", [f"2020-03-01 0{hour}:00" for hour in range(6)])
    write(tmp_path / "b.csv", [f"2020-03-01 0{hour}:00" for hour in (0, 1, 2, 3, 6)])
    _, split = Series().open(tmp_path, CARD, (4,))
    assert split.keys == ["a.csv", "b.csv"]
    np.testing.assert_array_equal(split[0]["image"], [[2, 3, 4, 5], [20, 30, 40, 50]])
    np.testing.assert_array_equal(split[1]["image"], [[3, np.nan, np.nan, 4], [30, np.nan, np.nan, 40]])


def test_a_file_of_too_few_steps_is_told(tmp_path):
    write(tmp_path / "a.csv", ["2020-03-01", "2020-03-02"])
    _, split = Series().open(tmp_path, CARD, (4,))
    with pytest.raises(BrokenSample, match=r"a\.csv: has 2 steps, and this model looks back 4 before it forecasts"):
        split[0]


def test_without_a_horizon_all_windows_are_samples(tmp_path):
    write(tmp_path / "a.csv", [f"2020-03-01 0{hour}:00" for hour in range(6)])
    _, split = Series().open(tmp_path, CARD.model_copy(update={"horizon": None}), (4,))
    assert split.keys == ["a.csv#0", "a.csv#4"]


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (("30.12.2019 23:15", "30.12.2019 23:30", "30.12.2019 23:45"), "31.12.2019 00:00"),
        (("2019-10", "2019-11", "2019-12"), "2020-01"),
        (("2019-12-31T22:00:00Z", "2019-12-31T23:00:00Z"), "2020-01-01T00:00:00Z"),
    ],
)
def test_what_follows_has_the_times_that_come_after(tmp_path, times, following):
    write(tmp_path / "a.csv", times, delimiter=";")
    rows = rows_of([[1.5, 2.5, np.nan]], CARD, tmp_path / "a.csv")
    assert rows[0] == ["when", "level"]
    assert rows[1] == [following, "1.5"]
    assert rows[3][1] == ""


def test_without_times_what_follows_is_counted_on(tmp_path):
    (tmp_path / "a.csv").write_text("flow,level\n" + "1,2\n" * 5)
    assert [row[0] for row in rows_of([[1, 2, 3]], CARD, tmp_path / "a.csv")] == ["step", "6", "7", "8"]
    np.save(tmp_path / "a.npy", np.zeros((5, 2), np.float32))
    assert [row[0] for row in rows_of([[1, 2, 3]], CARD, tmp_path / "a.npy")] == ["step", "1", "2", "3"]
    _, split = Series().open(tmp_path / "a.npy", CARD, (4,))
    assert split[0]["image"].shape == (2, 4)
