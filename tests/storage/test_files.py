from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path

import pytest

from maecli.errors import MaeError
from maecli.storage import files


def test_a_file_is_replaced_at_one_stroke(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "one")
    files.write_text(path, "zwei ß")
    assert path.read_bytes() == "zwei ß".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_written_for_people(tmp_path):
    files.write_json(tmp_path / "a.json", {"größe": 1})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "größe": 1\n}\n'


def test_a_file_name_that_is_no_utf8_survives_json(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    files.write_text(tmp_path / "a.jsonl", json.dumps({"path": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))["path"] == name


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EROFS, "the file system is read-only"),
        (errno.ENOTDIR, "a part of the path is a file"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_what_the_disk_refuses_is_one_sentence(code, words):
    with pytest.raises(MaeError) as caught, files.disk_errors(Path("x")):
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == f"cannot write x: {words}; what was saved before is untouched"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
def test_a_file_system_that_brings_only_files_to_the_disk_will_do(tmp_path, monkeypatch, code):
    fsync = os.fsync

    def files_only(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", files_only)
    with files.new_folder(tmp_path / "new") as folder:
        files.write_text(folder / "a", "a")
    assert (tmp_path / "new/a").read_text() == "a"

    def nothing(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", nothing)
    with pytest.raises(MaeError, match=re.escape(os.strerror(code))):
        files.write_text(tmp_path / "b", "b")


def test_a_full_disk_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(MaeError, match=r"a\.txt: the disk is full"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_real_device_that_is_full_is_told_so(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    files.temporary_name(tmp_path / "a.txt").symlink_to("/dev/full")
    with pytest.raises(MaeError, match=r"a\.txt: the disk is full"):
        files.write_text(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with files.new_folder(tmp_path / "new") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new/a").read_text() == "a"
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_a_folder_that_fails_leaves_the_one_before(tmp_path):
    with files.new_folder(tmp_path / "new") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), files.new_folder(tmp_path / "new") as folder:
        (folder / "a").write_text(f"half {1 / 0}")
    assert (tmp_path / "new/a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def fill(path, text):
    with files.new_folder(path) as folder:
        for name in ("a", "b"):
            (folder / name).write_text(text)


def test_an_interruption_while_the_old_folder_is_deleted_leaves_the_new_one_whole(tmp_path, monkeypatch):
    fill(tmp_path / "new", "old")

    def interrupted(path, ignore_errors=False):
        if path.exists():
            (path / "a").unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(tmp_path / "new", "new")
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {"a": "new", "b": "new"}
    fill(tmp_path / "new", "newer")
    assert list(tmp_path.iterdir()) == [tmp_path / "new"], "the next one clears the rest away"


def test_a_folder_that_cannot_take_its_name_leaves_the_one_before(tmp_path, monkeypatch):
    fill(tmp_path / "new", "old")

    def refused(first, second):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files, "exchange", refused)
    with pytest.raises(MaeError, match="no permission; what was saved before is untouched"):
        fill(tmp_path / "new", "new")
    assert (tmp_path / "new/b").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_what_a_kill_left_behind_is_cleared_away(tmp_path):
    left = files.temporary_name(tmp_path / "new")
    left.mkdir()
    (left / "half").touch()
    with files.new_folder(tmp_path / "new") as folder:
        (folder / "a").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_a_folder_under_a_file_is_told_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MaeError, match="a part of the path is a file"), files.new_folder(tmp_path / "file/new"):
        pass


def test_a_new_file_is_there_when_it_is_whole_and_not_before(tmp_path):
    path = tmp_path / "features.npy"
    path.write_text("old")

    def fail_half_way(file):
        file.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), files.new_file(path) as temporary:
        fail_half_way(temporary)
    assert path.read_text() == "old"
    with files.new_file(path) as temporary:
        temporary.write_text("whole")
        assert path.read_text() == "old"
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("at_one_stroke", [True, False])
def test_two_folders_swap_their_names(tmp_path, monkeypatch, at_one_stroke):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    if not at_one_stroke:
        monkeypatch.setattr(files, "_swap_names", lambda *_: False)
    files.exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a/file").read_text() == "b"
    assert (tmp_path / "b/file").read_text() == "a"
    assert {entry.name for entry in tmp_path.iterdir()} == {"a", "b"}


def test_what_a_replaced_folder_held_besides_stays(tmp_path):
    fill(tmp_path / "new", "old")
    (tmp_path / "new/mine.txt").write_text("mine")
    fill(tmp_path / "new", "new")
    assert (tmp_path / "new/b").read_text() == "new"
    assert (tmp_path / "new/mine.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_folder_stays_one(tmp_path, there):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk/real")
    if there:
        fill(tmp_path / "disk/real", "old")
    fill(tmp_path / "link", "new")
    assert (tmp_path / "link").readlink() == tmp_path / "disk/real"
    assert (tmp_path / "disk/real/b").read_text() == "new"
    assert {*tmp_path.iterdir(), *(tmp_path / "disk").iterdir()} == {
        tmp_path / "disk",
        tmp_path / "link",
        tmp_path / "disk/real",
    }


def test_files_that_belong_together_are_replaced_together_or_not_at_all(tmp_path, monkeypatch):
    files.replace_files(tmp_path, {"a": b"1", "b": b"1"})
    sync = files.sync

    def full(path):
        if path.name == ".b.tmp":
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(path)

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(MaeError, match="the disk is full"):
        files.replace_files(tmp_path, {"a": b"2", "b": b"2"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "1", "b": "1"}


@pytest.mark.parametrize("letter", ["x", "é", "漢"])
def test_the_longest_names_can_be_written(tmp_path, letter):
    names = [letter * ((255 - 1) // len(letter.encode())) + end for end in "ab"]
    assert files.temporary_name(tmp_path / names[0]) != files.temporary_name(tmp_path / names[1])
    for name in names:
        path = tmp_path / name
        assert files.temporary_name(path) == files.temporary_name(path)
        files.write_text(path, name)
        assert path.read_text(encoding="utf-8") == name
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert files.temporary_name(tmp_path / ("x" * 250)).name == f".{'x' * 250}.tmp"
