from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from maecli.data.files.sources import Sources, find_sources
from maecli.errors import DataError, SpecError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a/1.png", "a/2.png", "a/deep/3.png", "b/1.png", "b/notes.txt", "x[1].png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def never():
    raise AssertionError("standard input is not asked for")


def named(*words, stdin=None, said=None):
    said = [] if said is None else said
    found = find_sources(words, never if stdin is None else lambda: stdin, said.append)
    return [path.as_posix() for path in found.paths]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (["a"], ["a"]),
        (["b", "a/1.png"], ["b", "a/1.png"]),
        (["a/1.png", "./a/../a/1.png", "a/1.png"], ["a/1.png"]),
        (["a/*.png"], ["a/1.png", "a/2.png"]),
        (["a/*"], ["a/1.png", "a/2.png", "a/deep"]),
        (["a/**"], ["a/1.png", "a/2.png", "a/deep/3.png"]),
        (["**/1.png"], ["a/1.png", "b/1.png"]),
        (["[ab]/1.png", "a/?.png"], ["a/1.png", "b/1.png", "a/2.png"]),
        (["x[1].png"], ["x[1].png"]),
        (["nowhere"], ["nowhere"]),
    ],
    ids=str,
)
def test_words_name_files_and_folders_each_once_in_their_order(folder, words, paths):
    assert named(*words) == paths


PATHS = ["b/1.png", "a", "a/ 4 .png"]


@pytest.mark.parametrize(
    "text",
    [
        b"b/1.png\na\na/ 4 .png\n",
        b"b/1.png\r\na\r\n\r\na/ 4 .png",
        codecs.BOM_UTF8 + b"b/1.png\na\na/ 4 .png",
        codecs.BOM_UTF16_LE + "b/1.png\r\na\r\na/ 4 .png\r\n".encode("utf-16-le"),
        b"b/1.png\0a\0a/ 4 .png\0",
    ],
    ids=["lines", "of Windows", "with a mark", "of PowerShell", "ended by NUL"],
)
def test_a_list_and_standard_input_hold_a_path_per_line(folder, text):
    (folder / "list.txt").write_bytes(text)
    assert named("@list.txt") == PATHS  # what is not there is told when it is opened
    assert named("-", stdin=text) == PATHS
    assert named("a/2.png", "-", stdin=text) == ["a/2.png", *PATHS]


def test_a_name_in_a_list_need_not_be_utf8(folder):
    odd = b"a/caf\xe9.png"
    assert named("-", stdin=odd + b"\na/1.png\n") == [Path(os.fsdecode(odd)).as_posix(), "a/1.png"]


def test_paths_in_a_list_are_those_of_the_current_folder_or_else_of_its_own(folder, monkeypatch):
    (folder / "a/list.txt").write_text("1.png\ndeep\n")
    said = []
    assert named("@a/list.txt", said=said) == ["a/1.png", "a/deep"]
    assert said == ["paths in a/list.txt are those of its own folder, a"]
    (folder / "a/list.txt").write_text("a/1.png\n")
    assert named("@a/list.txt", said=said) == ["a/1.png"]
    assert len(said) == 1
    (folder / "1.png").touch()
    (folder / "a/list.txt").write_text("1.png\n")
    with pytest.raises(DataError) as error:
        named("@a/list.txt")
    assert str(error.value) == (
        "the paths in a/list.txt are there from the current folder and from a; write whole paths, or go to the one "
        "that is meant and give the list as - (< list.txt)"
    )
    (folder / "a/list.txt").write_text(f"{folder / 'a/1.png'}\n")
    assert named("@a/list.txt") == [(folder / "a/1.png").as_posix()]


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        (["a", "nowhere"], DataError, "nowhere does not exist"),
        (["a/*.jpg"], DataError, "nothing is there that matches a/*.jpg"),
        (
            ["@none.txt"],
            DataError,
            "@none.txt names a list, a file with a path per line, and none.txt: no such file or directory",
        ),
        (["@empty.txt"], DataError, "empty.txt names no file; give a path per line"),
        (["-"], DataError, "none of the paths in standard input is there, such as 'x.png'"),
        (
            ["@b/wrong.txt"],
            DataError,
            "none of the paths in b/wrong.txt is there, neither from the current folder nor from b, such as 'y.png'",
        ),
        (["-", "-"], SpecError, "standard input (-) is named twice and can be read once"),
        (["@two"], SpecError, "@two is the list two, or the file of that name; write ./@two for the file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_or_may_be_two_things_is_refused(folder, words, error, sentence):
    (folder / "empty.txt").write_text("\n \n")
    (folder / "b/wrong.txt").write_text("y.png")
    for name in ("two", "@two"):
        (folder / name).write_text("a/1.png")
    with pytest.raises(error) as raised:
        named(*words, stdin=b"x.png\nz.png")
    assert str(raised.value) == sentence
    assert named("./@two", "a") == ["@two", "a"]


def test_samples_are_named_below_the_folder_that_holds_all(folder):
    sources = Sources(tuple(map(Path, ("a/2.png", "b/1.png", "a/deep", "a/1.png"))))
    assert sources.root == folder
    assert list(sources.parts()) == [["a/2.png", "b/1.png"], folder / "a/deep", ["a/1.png"]]
    assert sources.below(folder / "a/deep") == "a/deep/"
    inner = Sources((Path("a"), Path("a/deep/3.png")))
    assert (inner.root, inner.below(Path("a"))) == (folder / "a", "")
    assert Sources((Path("a/1.png"),)).root == Path("a")


def test_what_lies_below_a_folder_of_a_list_is_searched_with_it(folder):
    assert named("-", stdin=b"b/1.png\na\na/1.png\na/deep\na/deep/3.png\n") == ["b/1.png", "a"]
    assert named("a", "a/deep") == ["a", "a/deep"]
