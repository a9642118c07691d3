"""The headers of very many pictures in some bytes each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from write_data import noise, write_picture

from maecli.data.files.kept import CHECKSUM, _write
from maecli.data.views.keys import Keys
from maecli.errors import Fault
from maecli.modalities.pictures import picture_files
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.headers import GrowingHeaders
from maecli.modalities.pictures.picture_files import convertible, probe_pictures
from maecli.modalities.pictures.read import probe_picture

GREY, COLOUR = PictureInfo((8, 9), 1, "uint8"), PictureInfo((7, 9), 3, "uint8")
ARRAY = PictureInfo((8, 8), 3, "uint8", array=True, shape=(3, 8, 8))
INFOS = {"a": GREY, "b": COLOUR, "c": replace(GREY, size=(5, 5)), "d": ARRAY, "e": replace(ARRAY, shape=(8, 8, 3))}


@pytest.fixture
def headers():
    growing = GrowingHeaders()
    for info in INFOS.values():
        growing.append(info)
    return growing.headers(Keys.of(INFOS))


def test_headers_are_those_that_came_and_alike_ones_are_one_kind(headers):
    assert headers == INFOS
    assert [headers[key].shape for key in "ade"] == [(), (3, 8, 8), (8, 8, 3)]
    assert [num for _, num in headers.counts()] == [2, 1, 1, 1]
    assert headers.first(lambda info: info.channels == 3) == "b"
    with pytest.raises(KeyError):
        headers["x"]


def test_some_of_them_are_headers_too(headers):
    assert headers.those(np.array([False, True, False, True, False])) == {"b": COLOUR, "d": ARRAY}
    faults = set[Fault]()
    assert list(convertible(headers, 3, "uint8", faults)) == ["a", "b", "c", "d", "e"]
    assert list(convertible(headers, 1, "uint8", faults)) == ["a", "b", "c"]
    assert {fault.path for fault in faults} == {"d", "e"}


def test_arrays_that_are_read_otherwise_have_other_sizes(headers):
    infos = [replace(info, size=(4, 2), channels=8) if info.shape else info for info in headers.infos]
    changed = headers.read_as(infos)
    assert [changed[key].size for key in INFOS] == [(8, 9), (7, 9), (5, 5), (4, 2), (4, 2)]


def test_headers_of_files_are_read_a_part_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "AT_ONCE", 2)
    monkeypatch.setattr(picture_files, "HELD", 4)
    keys = [f"{i}.png" for i in range(9)]
    for i, key in enumerate(keys):
        write_picture(tmp_path / key, noise(i, 4 + i, 5, 3))
    (tmp_path / "5.png").write_bytes(b"none")
    faults = set[Fault]()
    sound = [key for key in keys if key != "5.png"]
    assert probe_pictures(tmp_path, keys, faults) == {key: probe_picture(tmp_path / key) for key in sound}
    assert [fault.path for fault in faults] == ["5.png"]


@pytest.fixture
def reads(tmp_path, monkeypatch):
    """Let the headers of four pictures be remembered, and return the names of the files that are read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(picture_files, "MANY", 4)
    read: list[str] = []

    def probe(path, **how):
        read.append(path.name)
        return probe_picture(path, **how)

    monkeypatch.setattr(picture_files, "probe_picture", probe)
    return read


def test_headers_of_very_many_files_are_read_once_and_anew_for_what_was_changed(tmp_path, reads):
    root, keys = tmp_path / "data", [f"{i}.png" for i in range(5)]
    for i, key in enumerate(keys):
        write_picture(root / key, noise(i, 4 + i, 5, 3))
    (root / "3.png").write_bytes(b"none")
    sound = [key for key in keys if key != "3.png"]
    for again in (sorted(keys), ["3.png"]):
        reads.clear()
        faults = set[Fault]()
        assert list(probe_pictures(root, keys, faults)) == sound
        assert (sorted(reads), [fault.path for fault in faults]) == (again, ["3.png"])
    (root / "0.png").unlink()
    write_picture(root / "1.png", noise(1, 30, 5, 3))
    write_picture(root / "7.png", noise(7, 8, 8, 3))
    now = ["1.png", "2.png", "3.png", "4.png", "7.png"]
    reads.clear()
    headers = probe_pictures(root, now, set())
    assert sorted(reads) == ["1.png", "3.png", "7.png"]
    assert headers == {key: probe_picture(root / key) for key in now if key != "3.png"}
    reads.clear()
    probe_pictures(root, now, set(), max_pixels=10_000)
    assert sorted(reads) == now


def test_what_is_remembered_is_not_believed_where_it_is_damaged(tmp_path, reads):
    root, keys = tmp_path / "data", [f"{i}.png" for i in range(4)]
    for i, key in enumerate(keys):
        write_picture(root / key, noise(i, 4 + i, 5, 3))
    probe_pictures(root, keys, set())
    (file,) = (tmp_path / "cache/mae/index").iterdir()
    whole = file.read_bytes()
    with np.load(file) as arrays:
        lies = {"lengths": arrays["lengths"] + 1, "kinds": arrays["kinds"] + 9, "sizes": arrays["sizes"][:2]}
        about = {name: arrays[name] for name in arrays.files if name != CHECKSUM}
    for name, array in lies.items():
        assert _write(file, {**about, name: array})
        reads.clear()
        assert len(probe_pictures(root, keys, set())) == len(reads) == 4
    file.write_bytes(whole[:-30])
    assert len(probe_pictures(root, keys, set())) == 4
