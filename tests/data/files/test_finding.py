from __future__ import annotations

import os
import shutil

import pytest
from write_data import write_class_folders
from write_volumes import write_volumes

from maecli.data.files import finding
from maecli.data.files.finding import find_files, links_out
from maecli.errors import DataError
from maecli.modalities.pictures.finding import find_pictures
from maecli.registry import registry


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


@pytest.mark.parametrize("during", ["dog", "cat"])
def test_a_folder_that_goes_away_meanwhile_is_left_out_and_told(tmp_path, monkeypatch, during):
    write_class_folders(tmp_path, num=2)
    scandir, gone = os.scandir, tmp_path / "cat"

    def scanning(folder):
        if folder == tmp_path / during:
            shutil.rmtree(gone)
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(finding.os, "scandir", scanning)
        found = finding.search(tmp_path)
    assert list(found.files) == ["dog/000.png", "dog/001.png"]
    told = {"in cat/, a folder that went away as it was listed": 1}
    assert found.left_out(lambda path: path.endswith(".png")) == told
    with pytest.raises(DataError, match=f"^{gone} is gone"):
        finding.search(gone)


def test_links_that_lead_out_of_a_folder_are_told(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "root2"
    (root / "a").mkdir(parents=True)
    elsewhere.mkdir()
    for file in (root / "a/1.png", elsewhere / "2.png"):
        file.touch()
    (root / "in.png").symlink_to(root / "a/1.png")
    assert links_out(root, find_files(root)) == ""
    (root / "out.png").symlink_to(elsewhere / "2.png")
    told = f"out.png lies out of the folder by a link, at {elsewhere}/2.png; it is read all the same"
    assert links_out(root, find_files(root)) == told
    (root / "far").symlink_to(elsewhere)
    (root / "gone.png").symlink_to("/nowhere/3.png")
    told = (
        f"3 files, such as far/2.png, lie out of the folder by a link, at {elsewhere}/2.png; they are read all the same"
    )
    assert links_out(root, find_files(root)) == told
    (tmp_path / "link").symlink_to(root)  # the folder itself may be one
    (root / "far").unlink()
    assert links_out(tmp_path / "link", ["a/1.png", "in.png"]) == ""


@pytest.mark.parametrize("kind", ["folder", "volumes", "series"])
def test_every_data_set_of_a_folder_tells_of_them(tmp_path, kind):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    if kind == "folder":
        write_class_folders(elsewhere, num=4)
    elif kind == "volumes":
        write_volumes(elsewhere, num=3)
    else:
        elsewhere.mkdir()
        (elsewhere / "s.csv").write_text("\n".join(["a,b", *(f"{i},{-i}" for i in range(2000))]))
    root.symlink_to(elsewhere)
    plugin, said = registry().dataset(kind), []
    plugin(plugin.Options(root=root)).told_by(said.append).card()
    assert not any("by a link" in line for line in said)
    root.unlink()
    root.mkdir()
    for path in elsewhere.iterdir():
        (root / path.name).symlink_to(path)
    plugin(plugin.Options(root=root)).told_by(said.append).card()
    assert [line for line in said if "by a link" in line] != []
