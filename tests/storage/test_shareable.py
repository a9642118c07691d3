"""What is passed on names nobody's home."""

from __future__ import annotations

import pytest

from maecli.storage.shareable import shareable


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
