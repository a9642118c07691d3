from __future__ import annotations

import numpy as np
import pytest
from cards import card

from maecli.errors import BrokenSample
from maecli.modalities.series.modality import Series

TWO = card(channels=2)
NAMED = card(channels=2, channel_names=("low", "high"))


def write(tmp_path, content: str | np.ndarray, name: str = "s"):
    path = tmp_path / f"{name}{'.csv' if isinstance(content, str) else '.npy'}"
    if isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content)
    return path


def read(tmp_path, content: str | np.ndarray, of=TWO) -> list[list[float]]:
    values = Series().read(write(tmp_path, content), of)
    assert values.dtype == np.float32
    return values.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,4\n2,5\n3,6\n",
        "when;a;b\n2016-07-01 00:00;1;4\n2016-07-01 01:00;2;5\n2016-07-01 02:00;3;6\n",
        "timestamp,a,b\n1467331200,1,4\n1467334800,2,5\n1467338400,3,6\n",
        ",a,b\n0,1,4\n1,2,5\n2,3,6\n",
    ],
)
def test_columns_are_channels_and_a_first_one_of_dates_or_words_is_not(tmp_path, text):
    assert read(tmp_path, text) == [[1, 2, 3], [4, 5, 6]]


def test_channels_that_have_names_are_found_by_them(tmp_path):
    assert read(tmp_path, "high,place,low,more\n4,x,1,7\n5,y,2,8\n", NAMED) == [[1, 2], [4, 5]]


@pytest.mark.parametrize("shape", [(3, 2), (2, 3)])
def test_the_axis_of_an_array_that_has_as_many_as_there_are_channels_is_theirs(tmp_path, shape):
    values = np.arange(6.0).reshape(2, 3)
    assert read(tmp_path, values if shape == (2, 3) else values.T) == values.tolist()


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1)])
def test_an_array_of_one_channel_needs_no_axis_for_it(tmp_path, shape):
    assert read(tmp_path, np.arange(4).reshape(shape), card()) == [[0, 1, 2, 3]]


def test_missing_steps_are_nan(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, "date,a,b\nx,1,\ny,NA,4\n"), [[1, np.nan], [np.nan, 4]])
    np.testing.assert_array_equal(read(tmp_path, np.array([[1, np.nan], [3, 4], [5, 6]])), [[1, 3, 5], [np.nan, 4, 6]])


@pytest.mark.parametrize(
    ("content", "of", "reason"),
    [
        ("a,b,c\n1,2,3\n", TWO, r"has 3 columns \('a', 'b', 'c'\) where 2 columns of numbers are wanted"),
        ("hihg,low\n1,2\n", NAMED, r"lacks the column 'high', .*left over: 'hihg'; did you mean 'hihg'\?"),
        ("a,b\n1,2\n", NAMED, "lacks the columns 'low', 'high', .*; left over: 'a', 'b'"),
        ("low,high,low\n1,2,3\n", NAMED, "has more than one column 'low'; keep one of them"),
        ("date;a;b\nx;1,5;2\n", TWO, "line 2, column 'a': '1,5' has a decimal comma; write 1.5"),
        ("a;b\n1,5;2\n", TWO, "line 2, column 'a': '1,5' has a decimal comma; write 1.5"),
        ("date,a,b\nx,1,2\ny,3,high\n", TWO, "line 3, column 'b': 'high' is not a number"),
        ("date,a,b\n", TWO, "has no steps"),
        (np.zeros((2, 2)), TWO, r"has the shape \(2, 2\), in which time and channels look alike; save it as CSV"),
        (np.zeros((3, 4)), TWO, r"has the shape \(3, 4\); a series of this model is \(T, 2\) or \(2, T\)"),
        (np.zeros((3,)), TWO, r"has the shape \(3,\); a series of this model is"),
        (np.zeros((2, 3), complex), TWO, "holds complex128, not plain numbers"),
        (np.full((2, 3), np.inf), TWO, "holds infinite values"),
    ],
)
def test_what_is_no_series_of_these_channels_is_refused(tmp_path, content, of, reason):
    with pytest.raises(BrokenSample, match=reason):
        read(tmp_path, content, of)


def test_no_array_is_believed_that_promises_more_than_it_holds(tmp_path):
    path = write(tmp_path, np.zeros((2, 300)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BrokenSample, match="truncated file"):
        Series().read(path, TWO)


def test_a_long_file_becomes_windows_of_which_the_last_has_what_is_left(tmp_path):
    write(tmp_path, np.arange(14.0).reshape(2, 7), "long")
    write(tmp_path, "a,b\n1,2\n", "short")
    root, split = Series().open(tmp_path, TWO, (3,))
    assert (root, list(split.keys)) == (tmp_path, ["long.npy#0", "long.npy#3", "long.npy#6", "short.csv"])
    windows = [split[i]["image"] for i in range(4)]
    np.testing.assert_array_equal(np.concatenate(windows[:3], 1), np.arange(14.0).reshape(2, 7))
    assert [split.size(i) for i in range(4)] == [window.shape[1:] for window in windows] == [(3,), (3,), (1,), (1,)]


def test_a_file_as_long_as_a_window_is_one_sample(tmp_path):
    _, split = Series().open(write(tmp_path, np.zeros((2, 3))), TWO, (3,))
    assert list(split.keys) == ["s.npy"]


def test_a_series_is_written_with_the_index_and_the_names_of_its_source(tmp_path):
    path = write(tmp_path, "date,a,b\nMon,1,\nTue,3,4\n")
    suffix, content = Series().encode(Series().read(path, TWO), TWO, path)
    assert (suffix, content.decode()) == (".csv", "date,a,b\nMon,1.0,\nTue,3.0,4.0\n")


def test_a_window_has_no_index_and_without_a_source_the_card_names_the_channels(tmp_path):
    path = write(tmp_path, "date,a,b\nMon,1,2\nTue,3,4\n")
    assert Series().encode(np.ones((2, 1)), TWO, path)[1] == b"a,b\n1.0,1.0\n"
    assert Series().encode(np.ones((2, 1)), NAMED)[1] == b"low,high\n1.0,1.0\n"
    assert Series().encode(np.ones((2, 1)), TWO)[1] == b"channel 1,channel 2\n1.0,1.0\n"


def test_classes_are_whole_numbers_in_one_column(tmp_path):
    path = write(tmp_path, "date,a,b\nMon,1,2\nTue,3,4\n")
    assert Series().encode(np.array([[0, 7]], np.uint8), TWO, path)[1] == b"date,class\nMon,0\nTue,7\n"


@pytest.mark.parametrize(("shape", "of"), [((3, 2), TWO), ((2, 3), TWO), ((3,), card())])
def test_an_array_is_written_in_the_layout_of_its_source(tmp_path, shape, of):
    values = np.arange(float(np.prod(shape)), dtype=np.float32).reshape(shape)
    path = write(tmp_path, values)
    suffix, content = Series().encode(Series().read(path, of), of, path)
    (tmp_path / "again.npy").write_bytes(content)
    assert suffix == ".npy"
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), values)
