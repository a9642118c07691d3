from __future__ import annotations

import os

import numpy as np
import pytest

from maecli.data import csv_files
from maecli.data.csv_files import csv_bytes, csv_head, csv_numbers, csv_rows
from maecli.errors import BrokenSample


def write(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,2.5\n-3e2,0\n", "a;b\n1;2.5\n-3e2;0\n", "a,b\r\n1,2.5\r\n\r\n-3e2,0", 'a,"b"\n"1","2.5"\n -3e2 , 0\n'],
)
def test_columns_become_numbers_whatever_separates_and_ends_them(tmp_path, text):
    values = csv_numbers(write(tmp_path, text), [0, 1])
    assert values.dtype == np.float32
    assert values.tolist() == [[1, 2.5], [-300, 0]]


def test_columns_stand_in_the_order_that_is_asked_for_and_others_may_hold_text(tmp_path):
    assert csv_numbers(write(tmp_path, "a,name,b\n1,x_1,2\n"), [2, 0]).tolist() == [[2, 1]]


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "nan", "N/A", "null", '""', "  "])
def test_cells_that_hold_nothing_are_missing(tmp_path, cell):
    values = csv_numbers(write(tmp_path, f"a,b\n{cell},2\n"), [0, 1])
    np.testing.assert_array_equal(values, [[np.nan, 2]])


def test_a_row_of_missing_cells_stays_a_row_and_an_empty_line_is_none(tmp_path):
    assert csv_numbers(write(tmp_path, "a,b\n,\n\n   \n1,2\n"), [0, 1]).shape == (2, 2)
    assert csv_numbers(write(tmp_path, 'a\n""\n\n1\n'), [0]).shape == (2, 1)


def test_quoted_cells_hold_separators_quotes_and_line_breaks(tmp_path):
    path = write(tmp_path, 'a,"b ""x"", y"\n"1\n",2\n5,z\n')
    assert csv_head(path)[0] == ["a", 'b "x", y']
    assert csv_numbers(path, [0]).tolist() == [[1], [5]]
    with pytest.raises(BrokenSample, match=r"line 4, column 'b \"x\", y': 'z' is not a number"):
        csv_numbers(path, [1])


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    assert csv_head(write(tmp_path, "ä,b\n1,2\n", "utf-8-sig")) == (["ä", "b"], ["1", "2"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a;b\n1;2\n3;4,5\n", "line 3, column 'b': '4,5' has a decimal comma; write 4.5"),
        ("a,b\n1,NEAR BAY\n", "line 2, column 'b': 'NEAR BAY' is not a number; leave the cell empty"),
        ("a,b\n1,1_000\n", "line 2, column 'b': '1_000' is not a number"),
        ("a,b\n1,2\n1,inf\n", "line 3, column 'b': holds a number that is infinite"),
        ("a,b\n1e39,2\n", "line 2, column 'a': holds a number that is infinite, or too large for float32"),
        ("a,b\n1,2\n1\n", "line 3: 1 cell under 2 columns; quote cells with commas"),
    ],
)
def test_what_is_no_number_is_named_with_its_line_and_column(tmp_path, text, reason):
    with pytest.raises(BrokenSample, match=reason):
        csv_numbers(write(tmp_path, text), [0, 1])


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "is empty"), ("\n\n", "is empty"), ("1,2\n3,4\n", "line 1: holds numbers; the first line")],
)
def test_a_file_without_names_is_refused(tmp_path, text, reason):
    with pytest.raises(BrokenSample, match=reason):
        csv_head(write(tmp_path, text))


def test_text_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(BrokenSample, match="not UTF-8 text"):
        list(csv_rows(write(tmp_path, "ä,b\n", "latin-1")))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(BrokenSample, match="it is no file"):
        list(csv_rows(tmp_path / "labels.csv"))


def test_numbers_have_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MAX_NUMBERS", 3)
    with pytest.raises(BrokenSample, match="line 3: holds more than 3 numbers; split the file"):
        csv_numbers(write(tmp_path, "a,b\n1,2\n3,4\n"), [0, 1])


def test_what_is_written_is_read_again(tmp_path):
    values = np.array([[0.1, np.nan], [-1e20, 3]], np.float32)
    content = csv_bytes(["a", "b, c"], values)
    assert content == b'a,"b, c"\n0.1,\n-1e+20,3.0\n'
    np.testing.assert_array_equal(csv_numbers(write(tmp_path, content.decode()), [0, 1]), values)
