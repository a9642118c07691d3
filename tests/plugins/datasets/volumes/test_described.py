from __future__ import annotations

import json
import os

import pytest
from maecli_plugins.datasets.volumes.described import MAX_BYTES, read_description
from maecli_plugins.datasets.volumes.finding import find_class_names

from maecli.api import DataError


def described(root, **content):
    (root / "dataset.json").write_text(json.dumps(content))
    return read_description(root / "dataset.json")


@pytest.mark.parametrize(
    "name", ["../x.nii.gz", "/etc/passwd", "a/../../x.nii.gz", "..\\x.nii.gz", "C:/x.nii.gz", ".."]
)
def test_a_list_names_nothing_out_of_its_folder(tmp_path, name):
    for entry in ({"image": name}, {"image": ["a.nii.gz", name]}, {"image": "a.nii.gz", "label": name}, name):
        with pytest.raises(DataError, match=r"lies out of the folder of the list; link or copy it into it"):
            described(tmp_path, training=[entry])


def test_paths_of_a_list_may_be_written_in_several_ways(tmp_path):
    names = ["./a/1.nii.gz", "a/b/../2.nii.gz", "a\\3.nii.gz", f"{tmp_path}/a/4.nii.gz"]
    cases = described(tmp_path, training=names).cases
    assert [case.key for case in cases] == [f"a/{number}.nii.gz" for number in range(1, 5)]


@pytest.mark.parametrize("labels", [{"a": 2**15}, {"a": 10**12}, {str(2**40): "a"}, ["a"] * (2**15 + 1)])
def test_numbers_of_classes_are_bounded(tmp_path, labels):
    with pytest.raises(DataError, match=r"labels has the number [\d,]+, and there is room for 32,768"):
        described(tmp_path, labels=labels)
    assert described(tmp_path, labels={"a": 1, "ignore": 2**16 - 1}).void == 2**16 - 1


def test_a_long_word_in_labels_is_told_in_short(tmp_path):
    with pytest.raises(DataError) as raised:
        described(tmp_path, labels={"x" * 10**6: "y"})
    assert len(str(raised.value)) < 300


def test_a_description_is_no_larger_than_a_list_can_be(tmp_path):
    (tmp_path / "dataset.json").write_text('{"labels": [' + "[]," * (MAX_BYTES // 3) + "0]}")
    with pytest.raises(DataError, match="is larger than 8,388,608 bytes"):
        read_description(tmp_path / "dataset.json")


def test_a_pipe_is_no_list_of_classes(tmp_path):
    os.mkfifo(tmp_path / "classes.csv")
    assert find_class_names(tmp_path, None) == ()


def test_a_name_that_no_disk_takes_is_read_like_any_that_is_not_there(tmp_path):
    cases = described(tmp_path, training=["9" * 400 + ".nii.gz"]).cases
    assert [case.key for case in cases] == ["9" * 400 + ".nii.gz"]
