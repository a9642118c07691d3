from __future__ import annotations

import time

import pytest

from maecli.data import csv_files
from maecli.data.label_files import LabelRow, read_labels
from maecli.errors import DataError

KNOWN = frozenset({"a/1.png", "2.png", "x\\y.png"})


def read(tmp_path, text: str):
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return read_labels(tmp_path / "labels.csv", KNOWN)


def test_no_table_is_no_rows(tmp_path):
    assert read_labels(tmp_path / "labels.csv", KNOWN) is None


def test_columns_stand_in_any_order_and_others_are_ignored(tmp_path):
    rows = read(tmp_path, "Group,comment,LABEL,split,file\np,nice,cat,Validation,a/1.png\n,,,,2.png\n")
    assert rows == {"a/1.png": LabelRow(2, "cat", "val", "p"), "2.png": LabelRow(3, "", None, "")}


@pytest.mark.parametrize("name", ["a/1.png", "./a/1.png", "a\\1.png", ".\\a\\1.png"])
def test_paths_may_be_those_of_windows(tmp_path, name):
    assert list(read(tmp_path, f"file,label\n{name},cat\n") or ()) == ["a/1.png"]


def test_a_name_that_is_known_as_it_stands_is_taken_so(tmp_path):
    assert list(read(tmp_path, "file,label\nx\\y.png,cat\n") or ()) == ["x\\y.png"]


@pytest.mark.parametrize("column", ["split", "group"])
def test_labels_may_be_left_out_where_splits_or_groups_are_given(tmp_path, column):
    assert read(tmp_path, f"file,{column}\n2.png,test\n") == {
        "2.png": LabelRow(2, "", "test" if column == "split" else None, "test" if column == "group" else "")
    }


def test_a_table_of_files_alone_is_refused(tmp_path):
    with pytest.raises(DataError, match="line 1: no column 'label' among file, note; the first line must name"):
        read(tmp_path, "file,note\n2.png,x\n")


def test_a_row_of_labels_has_an_end(tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    for text, line in (("file,label\n" + "," * 2**21, 2), ("file,label\n" + '"' + "\n" * 5000, 1002), ("x" * 2**21, 1)):
        path.write_text(text)
        with pytest.raises(DataError, match=f"line {line}: too long for a row"):
            read_labels(path, frozenset({"a.png"}))
    monkeypatch.setattr(csv_files, "MAX_BYTES", 100)
    path.write_text("file,label\n" + "a.png,x\n" * 50)
    with pytest.raises(DataError, match="is larger than 100 bytes"):
        read_labels(path, frozenset({"a.png"}))


@pytest.mark.slow
def test_a_hundred_thousand_rows_of_labels_take_a_second(tmp_path):
    keys = [f"{i:06d}.png" for i in range(100_000)]
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{key},cat\n" for key in keys))
    begin = time.process_time()
    assert len(read_labels(tmp_path / "labels.csv", frozenset(keys)) or {}) == 100_000
    assert time.process_time() - begin < 3
