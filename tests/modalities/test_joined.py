from __future__ import annotations

import numpy as np
import pytest

from maecli.data.sample import Split
from maecli.errors import BrokenSample
from maecli.modalities.files import Files
from maecli.modalities.joined import Joined, join_files


def read(path):
    number = path.read_bytes()
    if not number:
        raise BrokenSample(str(path), "empty file")
    return np.full((1, 2, 3), int(number))


def split_of(root, *names) -> Split:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name[0])
    return Files(root, names, read)


def test_samples_of_several_folders_have_keys_of_one_and_each_counts_once(tmp_path):
    one, both = split_of(tmp_path / "one", "1", "2"), split_of(tmp_path, "one/1", "3")
    (tmp_path / "one/1").write_text("1")
    joined = Joined([("one/", one), ("", both)])
    assert joined.keys == ["one/1", "one/2", "3"]
    assert [int(joined[i]["image"][0, 0, 0]) for i in range(3)] == [1, 2, 3]
    assert joined.size(0) == (2, 3)
    assert list(joined.files(2)) == [tmp_path / "3"]


def test_a_broken_sample_is_named_as_its_key(tmp_path):
    joined = Joined([("one/", split_of(tmp_path / "one", "1"))])
    (tmp_path / "one/1").write_bytes(b"")
    for ask in (lambda: joined[0], lambda: joined.size(0), lambda: joined.small(0, 1)):
        with pytest.raises(BrokenSample) as error:
            ask()
        assert (error.value.fault.path, error.value.fault.reason) == (joined.keys[0], "empty file")


def test_files_that_a_modality_opens_one_by_one_are_named_below_the_root(tmp_path):
    split_of(tmp_path, "1", "deep/2")
    joined = join_files(tmp_path, ["deep/2", "1"], lambda path: (path.parent, Files(path.parent, [path.name], read)))
    assert joined.keys == ["deep/2", "1"]
