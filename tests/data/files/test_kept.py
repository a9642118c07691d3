"""What is kept beside files."""

from __future__ import annotations

import os

import numpy as np

from maecli.data.files.kept import FOLDER, keep, kept, stamp_of


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
