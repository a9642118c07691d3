from __future__ import annotations

import errno
import os
import unicodedata

import pytest

from maecli.errors import MaeError
from maecli.outputs import named_files
from maecli.outputs.named_files import NoName, OutputFiles


@pytest.fixture
def files(tmp_path):
    return OutputFiles(tmp_path / "stage/files", tmp_path / "out/files")


def write_all(files, keys, suffix=".png"):
    """Write a file for each key, and return its path; each holds its key."""
    names = {key: files.write(key, suffix, os.fsencode(key)) for key in keys}
    assert len(set(names.values())) == len(keys)
    for key, name in names.items():
        assert (files.folder / name).read_bytes() == os.fsencode(key)
    return names


def test_a_file_is_named_as_its_input(files):
    keys = ["a/1.jpg", "1.jpg", "-rf.png", "a\nb.png", "[b].png", "caf\udce9.png", " .png"]
    assert write_all(files, keys) == {key: f"{key}.png" for key in keys}


def test_no_name_leads_out_of_the_folder(files, tmp_path):
    names = write_all(files, ["../1.png", "/1.png", "a/../../../1.png", "a/..b.png"])
    assert [name.count("/") for name in names.values()] == [0, 0, 0, 1]
    assert {path.name for path in tmp_path.iterdir()} == {"stage"}


@pytest.mark.parametrize("letter", ["x", "é", "漢", "\udce9"])
def test_names_that_are_too_long_are_cut_and_stay_apart(files, letter):
    room = (255 - len(".png") - 1) // len(os.fsencode(letter))
    keys = [f"deep/{letter * room}{end}.png" for end in "12"]
    names = write_all(files, keys)
    assert len(set(names)) == 2
    for name in names.values():
        assert name.startswith("deep/" + (letter if letter != "\udce9" else "~"))
        assert name.endswith(".png")
        assert len(os.fsencode(name.removeprefix("deep/"))) <= 255
    assert write_all(OutputFiles(files.folder.with_name("again"), files.folder), keys) == names


def test_a_path_that_is_too_long_is_written_at_the_top(files, tmp_path):
    key = "/".join(["d" * 250] * 15) + "/1.png"
    deep = OutputFiles(tmp_path / "stage", tmp_path / "/".join(["e" * 250] * 4))
    name = deep.write(key, ".png", b"")
    assert "/" not in name
    assert len(name) == len("0123456789abcdef.png")


def test_a_file_and_a_folder_of_one_name_are_kept_apart(files):
    first = write_all(files, ["a.jpg", "a.jpg.png/b.jpg", "a.jpg.png/a.jpg"])
    assert first["a.jpg"] == "a.jpg.png"
    assert "/" not in first["a.jpg.png/b.jpg"]
    other = OutputFiles(files.folder.with_name("other"), files.folder)
    turned = write_all(other, ["a.jpg.png/b.jpg", "a.jpg"])
    assert turned["a.jpg.png/b.jpg"] == "a.jpg.png/b.jpg.png"
    assert turned["a.jpg"].startswith("a.jpg~")


def test_names_that_a_disk_takes_for_one_are_kept_apart(files, monkeypatch):
    create = named_files.create

    def alike(file, data):
        create(file.with_name(unicodedata.normalize("NFC", file.name).casefold()), data)

    monkeypatch.setattr(named_files, "create", alike)
    names = [files.write(key, ".png", b"") for key in ("a.png", "A.png", "é.png", "e\u0301.png", "É.png")]
    assert [name.casefold() for name in names[:3:2]] == ["a.png.png", "é.png.png"]
    assert len(list(files.folder.iterdir())) == len({name.casefold() for name in names}) == 5


@pytest.mark.parametrize("number", [errno.EILSEQ, errno.EINVAL])
def test_a_name_of_letters_that_a_disk_does_not_take_becomes_a_digest(files, monkeypatch, number):
    create = named_files.create

    def plain(file, data):
        if not file.name.isascii():
            raise OSError(number, os.strerror(number))
        create(file, data)

    monkeypatch.setattr(named_files, "create", plain)
    assert len(files.write("漢.png", ".png", b"")) == len("0123456789abcdef.png")


def test_what_has_no_name_at_all_is_told(files):
    with pytest.raises(NoName, match="what was made of it cannot be written: file name too long"):
        files.write("a.png", "." + "x" * 300, b"")


def test_a_full_disk_is_no_matter_of_names(files, monkeypatch):
    def full(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(named_files, "create", full)
    with pytest.raises(MaeError, match="the disk is full"):
        files.write("a.png", ".png", b"")
