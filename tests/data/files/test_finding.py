from __future__ import annotations

import os

from maecli.data.files.finding import find_files
from maecli.modalities.pictures.finding import find_pictures


def test_files_are_found_sorted_and_hidden_ones_are_not(tmp_path):
    for name in ("b/1.png", "a/1.jpg", "a/.hidden.png", ".git/x.png", "a/notes.txt", "top.TIFF"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_files(tmp_path) == ["a/1.jpg", "a/notes.txt", "b/1.png", "top.TIFF"]
    assert find_pictures(tmp_path) == ["a/1.jpg", "b/1.png", "top.TIFF"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / "z").mkdir(parents=True)
    elsewhere.mkdir()
    (root / "z/1.png").touch()
    (elsewhere / "2.png").touch()
    (root / "a").symlink_to(root / "z")  # the real folder keeps the name
    (root / "z/up").symlink_to(root)
    (root / "far").symlink_to(elsewhere)
    (root / "gone.png").symlink_to(root / "nothing.png")
    (root / "self.png").symlink_to(root / "self.png")
    os.mkfifo(root / "pipe.png")
    assert find_files(root) == ["far/2.png", "gone.png", "self.png", "z/1.png"]
