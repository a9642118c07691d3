from __future__ import annotations

import numpy as np
import pytest

from maecli.errors import BrokenSample
from maecli.modalities.hand_back import HandBack
from maecli.outputs.files_back import FilesBack
from maecli.outputs.named_files import OutputFiles


class Parts(HandBack):
    """Gives back what it took, in order; broken.txt cannot be opened, and changed.txt not be read again."""

    def __init__(self, path):
        if path.name == "broken.txt":
            raise BrokenSample(str(path), "truncated file")
        self.path, self.parts = path, {}

    def add(self, part, values):
        self.parts[part] = values

    def contents(self):
        for part in sorted(self.parts):
            yield f"{part}: {self.parts[part].tolist()}\n".encode()
        if self.path.name == "changed.txt":
            raise BrokenSample(str(self.path), "was it changed since it was read?")

    def mark(self):
        return ".mark", [b"all"]

    def notes(self):
        return [f"{len(self.parts)} of {self.path.name}"]


def encode(values, source):
    return ".one", f"{values.tolist()} like {source.name}".encode()


@pytest.fixture
def faults():
    return []


def files_back(tmp_path, faults, open_file=Parts, **options):
    files = OutputFiles(tmp_path / "files", tmp_path / "out")
    return FilesBack(files, open_file, encode, faults.append, **options)


def add(back, tmp_path, *keys):
    for number, key in enumerate(keys):
        back.add(key, np.array([number]), tmp_path / key.rpartition("/")[2].partition("#")[0])


def test_a_file_is_written_once_of_all_its_samples(tmp_path, faults):
    back = files_back(tmp_path, faults)
    add(back, tmp_path, "a/one.txt#2", "two.txt#1", "a/one.txt#1", "whole.txt")
    back.write()
    assert back.written == ["a/one.txt", "two.txt", "whole.txt"]
    assert (tmp_path / "files/a/one.txt").read_text() == "1: [2]\n2: [0]\n"
    assert back.notes == ["2 of one.txt", "1 of two.txt", "1 of whole.txt"]
    assert not list((tmp_path / "files").glob("*.mark"))
    assert faults == []


def test_another_file_beside_it_says_what_was_filled_in(tmp_path, faults):
    back = files_back(tmp_path, faults, mark=True)
    add(back, tmp_path, "one.txt#1")
    back.write()
    assert (tmp_path / "files/one.txt.mark").read_text() == "all"


def test_a_file_that_cannot_be_opened_or_was_changed_is_told_once_and_not_left_in_part(tmp_path, faults):
    back = files_back(tmp_path, faults)
    add(back, tmp_path, "broken.txt#1", "broken.txt#2", "changed.txt#1", "one.txt#1")
    back.write()
    assert [(fault.path, fault.reason) for fault in faults] == [
        ("broken.txt", "truncated file"),
        ("changed.txt", "was it changed since it was read?"),
    ]
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["one.txt"]
    assert back.written == ["one.txt"]


def test_a_sample_of_a_kind_that_is_not_handed_back_is_written_by_itself(tmp_path, faults):
    back = files_back(tmp_path, faults, open_file=lambda path: None)
    add(back, tmp_path, "one.txt#1")
    back.write()
    assert (tmp_path / "files/one.txt#1.one").read_text() == "[0] like one.txt"
