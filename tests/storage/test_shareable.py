"""What is passed on names nobody's home."""

from __future__ import annotations

import pytest

from maecli.storage.shareable import last_names, shareable, without_folders


@pytest.fixture(autouse=True)
def _home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/home/anna/pics", "~/pics"),
        ("/home/anna", "~"),
        ("pictures in /home/anna/pics, and /home/anna/more", "pictures in ~/pics, and ~/more"),
        ("--root=/home/anna/pics", "--root=~/pics"),
        ("/home/annabel/pics", "/home/annabel/pics"),
        ("/mnt/home/anna/pics", "/mnt/home/anna/pics"),
        ("/home/anna.old/pics", "/home/anna.old/pics"),
        ("pics", "pics"),
        ("/data/pics", "/data/pics"),
    ],
)
def test_a_home_is_written_as_a_tilde(text, written):
    assert shareable(text) == written


def test_absolute_paths_alone_give_way_to_their_last_names():
    told = {"/m": ["/home/ann/pics", "~/pics", "../pics", "a /b", "C:\\x\\y", None]}
    assert last_names(told) == {"/m": ["pics", "pics", "../pics", "a /b", "y", None]}


def test_records_are_gone_through_to_their_ends():
    record = {"/home/anna/a": [{"root": "/home/anna/pics", "n": 1}, None], "t": ("/home/anna", 2.5, True)}
    assert shareable(record) == {"~/a": [{"root": "~/pics", "n": 1}, None], "t": ["~", 2.5, True]}


def test_a_home_at_the_root_is_nobodys(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert shareable("/etc/passwd") == "/etc/passwd"


def test_a_home_behind_a_link_is_the_same(monkeypatch, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    assert shareable(f"{tmp_path}/real/x {tmp_path}/link/y") == "~/x ~/y"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/anna/pics", "pics"),
        ("~/pics/", "pics"),
        (r"C:\data\pics", "pics"),
        ("encoder from /data/runs/pre/step-1: 3 tensors", "encoder from step-1: 3 tensors"),
        ("in /my disk/own pics, of other data", "in own pics, of other data"),
        ("runs/pre and 3 km/h, and/or", "runs/pre and 3 km/h, and/or"),
        ("https://huggingface.co/docs/hub", "https://huggingface.co/docs/hub"),
    ],
)
def test_of_paths_the_last_names_are_published(text, told):
    assert without_folders({"a": [text]}, ["/my disk/own pics"]) == {"a": [told]}
