from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from maecli.errors import MaeError
from maecli.storage.ledger import InTheWay, Ledger, is_bare, written_paths


def begun(folder: Path, writer: str = "run") -> Ledger:
    ledger = Ledger(folder, writer)
    ledger.begin()
    return ledger


def write(ledger: Ledger, *names: str) -> None:
    ledger.claim(*names)
    for name in names:
        if name.endswith("/"):
            (ledger.folder / name).mkdir(exist_ok=True)
        else:
            (ledger.folder / name).write_text("ours")


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_what_was_claimed_is_removed(tmp_path):
    ledger = begun(tmp_path / "out")
    write(ledger, "a.txt", "sub/", "sub/b.txt")
    (tmp_path / "out/sub/mine.txt").write_text("mine")
    ledger.remove()
    assert files_in(tmp_path / "out") == {"sub/mine.txt"}


def test_a_ledger_that_cannot_be_read_now_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    ledger = begun(tmp_path)
    write(ledger, "a")
    stat = Path.stat

    def failing(path, **options):
        if path == ledger.file:
            raise OSError(errno.EIO, "Input/output error")
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", failing)
        with pytest.raises(MaeError, match=f"^cannot write {tmp_path}: Input/output error"):
            ledger.remove()
    assert files_in(tmp_path) == {"a", ".mae/ledger"}
    ledger.remove()
    assert files_in(tmp_path) == set()


def test_folders_that_are_empty_then_go_and_foreign_ones_stay(tmp_path):
    (tmp_path / "out/theirs").mkdir(parents=True)
    ledger = begun(tmp_path / "out")
    write(ledger, "theirs/", "theirs/a.txt", "ours/", "ours/deep/", "ours/deep/b.txt")
    ledger.remove()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != ".mae"] == ["theirs"]


def test_a_file_of_someone_else_is_not_written_over(tmp_path):
    ledger = begun(tmp_path)
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(InTheWay, match=r"report\.html is there and was not written by mae run, so it stays"):
        ledger.claim("report.html")
    ledger.claim("a")
    ledger.claim("a")
    (tmp_path / "a").write_text("ours")
    ledger.claim("a")


def test_writers_do_not_touch_what_another_wrote(tmp_path):
    run, embed = begun(tmp_path), begun(tmp_path, "embed")
    write(run, "metrics.jsonl")
    write(embed, "features.npy")
    with pytest.raises(InTheWay):
        embed.claim("metrics.jsonl")
    run.remove()
    assert files_in(tmp_path) == {".mae/ledger", "features.npy"}
    embed.remove()
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("path", ["../precious", "/etc/hostname", "a/../../precious", "", "a\0b", 7, None, ["x"]])
def test_a_path_that_leads_out_of_the_folder_is_none(tmp_path, path):
    (tmp_path / "precious").write_text("mine")
    ledger = begun(tmp_path / "out")
    with ledger.file.open("a") as file:
        file.write(json.dumps({"by": "run", "path": path}) + "\n")
    assert ledger.paths == {"./"}
    ledger.remove()
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe", b"{", b"[1]", b'"a"', b'{"by": 3}', b"[" * 9999, b"null", b'{"by": "run", "gone": ["a"]}']
)
def test_damaged_lines_are_passed_over(tmp_path, damage):
    ledger = begun(tmp_path)
    write(ledger, "a")
    with ledger.file.open("ab") as file:
        file.write(damage + b"\n")
    write(ledger, "b")
    assert Ledger(tmp_path, "run").paths == {"./", "a", "b"}


def test_a_line_that_was_cut_does_not_swallow_the_next(tmp_path):
    ledger = begun(tmp_path)
    with ledger.file.open("ab") as file:
        file.write(b'{"by": "run", "pa')
    write(ledger, "a")
    assert Ledger(tmp_path, "run").paths == {"./", "a"}


def test_what_other_processes_add_is_seen(tmp_path):
    one, other = begun(tmp_path), Ledger(tmp_path, "run")
    assert other.paths == {"./"}
    write(one, "a")
    assert other.paths == {"./", "a"}
    one.remove("a")
    assert other.paths == {"./"}


def test_nothing_is_followed_through_a_link(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/a").write_text("mine")
    ledger = begun(tmp_path / "out")
    ledger.claim("sub/", "sub/a", "b")
    (tmp_path / "out/sub").symlink_to(tmp_path / "precious")
    (tmp_path / "out/b").symlink_to(tmp_path / "precious/a")
    ledger.remove()
    assert (tmp_path / "precious/a").read_text() == "mine"
    assert not (tmp_path / "out/b").is_symlink()


def test_a_part_of_what_was_written_is_removed_also_through_a_link(tmp_path):
    """As of checkpoints that were moved to another disk."""
    ledger = begun(tmp_path / "out")
    write(ledger, "sub/", "sub/a", "sub/b")
    (tmp_path / "out/sub").rename(tmp_path / "elsewhere")
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    assert ledger.links() == ["sub"]
    ledger.remove("sub/a")
    assert files_in(tmp_path / "elsewhere") == {"b"}


def test_a_file_that_took_the_place_of_a_noted_one_is_its_owners(tmp_path):
    ledger = begun(tmp_path)
    write(ledger, "a", "b")
    ledger.note("a", "b")
    assert ledger.is_as_noted("a")
    (tmp_path / "a").write_text("mine now")
    assert not ledger.is_as_noted("a")
    ledger.remove()
    assert files_in(tmp_path) == {"a"}


@pytest.mark.parametrize("kind", ["fifo", "folder", "empty"])
def test_a_ledger_that_is_no_file_of_lines_is_none(tmp_path, kind):
    file = tmp_path / ".mae/ledger"
    file.parent.mkdir()
    {"fifo": lambda: os.mkfifo(file), "folder": file.mkdir, "empty": file.touch}[kind]()
    assert written_paths(tmp_path) == set()
    assert not Ledger(tmp_path, "run").began
    assert not is_bare(tmp_path)


def test_a_folder_that_a_person_calls_so_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / ".mae").mkdir()
    assert is_bare(tmp_path)
    (tmp_path / ".mae/diary.txt").write_text("mine")
    assert not is_bare(tmp_path)


def test_a_file_that_became_a_folder_stays(tmp_path):
    ledger = begun(tmp_path)
    ledger.claim("a")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/mine").write_text("mine")
    ledger.remove()
    assert files_in(tmp_path) == {"a/mine"}


def test_what_mae_made_is_told_from_what_was_there(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/file").touch()
    begun(tmp_path / "theirs")
    begun(tmp_path / "ours")
    assert written_paths(tmp_path / "theirs") == set()
    assert written_paths(tmp_path / "ours") == {"./"}
    assert written_paths(tmp_path) == set()
    assert Ledger(tmp_path / "theirs", "run").foreign() == ["file"]


def test_before_it_began_a_ledger_notes_nothing(tmp_path):
    ledger = Ledger(tmp_path, "run")
    ledger.claim("a")
    ledger.remove()
    assert not ledger.began
    assert is_bare(tmp_path)


def test_surrogates_of_odd_names_are_kept(tmp_path):
    ledger = begun(tmp_path)
    write(ledger, "caf\udce9.txt")
    assert "caf\udce9.txt" in Ledger(tmp_path, "run").paths
    ledger.remove()
    assert is_bare(tmp_path)
