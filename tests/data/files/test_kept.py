"""What is kept beside files."""

from __future__ import annotations

import os
import posixpath

import numpy as np

from maecli.data.files.kept import FOLDER, keep, kept, remember, remembered, stamp_of


def test_a_pipe_in_place_of_what_is_kept_is_passed_over_and_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, place = tmp_path / "a.tar", tmp_path / FOLDER / "a.tar.npz"
    path.write_bytes(b"shard")
    place.parent.mkdir()
    os.mkfifo(place)
    assert kept(path, "test") is None
    assert keep(path, "test", {"numbers": np.arange(3)}, stamp_of(path)) == place
    found = kept(path, "test")
    assert found is not None
    np.testing.assert_array_equal(found["numbers"], np.arange(3))


def test_without_a_home_it_is_kept_beside_the_file_or_nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(posixpath, "expanduser", lambda path: path)  # as where the system knows no such user
    path = tmp_path / "a.tar"
    path.write_bytes(b"shard")
    numbers = {"numbers": np.arange(3)}
    assert keep(path, "test", numbers, stamp_of(path)) == tmp_path / FOLDER / "a.tar.npz"
    remember(tmp_path, "test", numbers)
    assert remembered(tmp_path, "test") is None
    (tmp_path / FOLDER / "a.tar.npz").unlink()
    (tmp_path / FOLDER).rmdir()
    (tmp_path / FOLDER).write_text("mine")  # so that nothing can be kept there
    assert keep(path, "test", numbers, stamp_of(path)) is None
