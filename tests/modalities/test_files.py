from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from maecli.errors import BrokenSample, DataError
from maecli.modalities import files
from maecli.modalities.files import FileParts, find_source, reading

SUFFIXES = {".csv", ".nii.gz"}


def test_files_are_found_by_their_endings_and_labels_are_no_samples(tmp_path):
    for name in ("b.csv", "sub/A.NII.GZ", "c.gz", "labels.csv", "sub/labels.csv", ".hidden.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_source(tmp_path, SUFFIXES, "things") == (tmp_path, ["b.csv", "sub/A.NII.GZ"])
    assert find_source(tmp_path / "c.gz", SUFFIXES, "things") == (tmp_path, ["c.gz"])


def test_where_nothing_is_found_it_is_said_what_is_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"holds no things \(.csv, .nii.gz\), also not in its folders"):
        find_source(tmp_path, SUFFIXES, "things")
    with pytest.raises(DataError, match=r"nowhere does not exist; give a file \(.csv, .nii.gz\) or a folder of things"):
        find_source(tmp_path / "nowhere", SUFFIXES, "things")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "x"), "cannot be opened: no such file or directory"),
        (EOFError("the end"), "truncated file"),
        (gzip.BadGzipFile("Not a gzipped file"), "damaged file: Not a gzipped file"),
        (ZeroDivisionError(), "damaged file: ZeroDivisionError"),
        (BrokenSample("b", "as it was"), "as it was"),
    ],
)
def test_whatever_a_decoder_raises_becomes_a_reason(error, reason):
    with pytest.raises(BrokenSample) as caught, reading(Path("a")):
        raise error
    assert caught.value.fault.reason == reason


class Letters(FileParts):
    """Files of letters; each is a part, but a file of one letter is a single sample."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.paths_read: list[str] = []
        super().__init__(root, paths, self.read_letters)

    def read_letters(self, path: Path) -> np.ndarray:
        self.paths_read.append(path.name)
        if path.name == "broken":
            raise BrokenSample(str(path), "is broken")
        return np.frombuffer(path.read_bytes(), np.uint8)

    def names(self, values: np.ndarray) -> Sequence[str]:
        return [f"#{i}" for i in range(len(values))] if len(values) > 1 else [""]

    def part(self, values: np.ndarray, number: int) -> np.ndarray:
        return values[None, number : number + 1]


def letters(tmp_path) -> Letters:
    for name, text in (("a", "xy"), ("b", "z"), ("broken", "")):
        (tmp_path / name).write_text(text)
    return Letters(tmp_path, ["a", "b", "broken"])


def test_parts_are_named_by_file_and_part_and_a_broken_file_is_one_broken_sample(tmp_path):
    split = letters(tmp_path)
    assert split.keys == ["a#0", "a#1", "b", "broken"]
    assert [chr(split[i]["image"].item()) for i in range(3)] == ["x", "y", "z"]
    assert [split.files(i) for i in (1, 2)] == [[tmp_path / "a"], [tmp_path / "b"]]
    with pytest.raises(BrokenSample, match=r"^broken: is broken$"):
        split[3]


def test_a_file_is_read_once_while_there_is_room_for_it(tmp_path, monkeypatch):
    split = letters(tmp_path)
    assert [split[i] for i in (0, 2, 1)]
    assert split.paths_read == ["a", "b", "broken"]
    monkeypatch.setattr(files, "MAX_KEPT", 2)
    split = letters(tmp_path)
    assert [split[i] for i in (0, 1, 2, 0)]
    assert split.paths_read == ["a", "b", "broken", "a", "b", "a"]
