"""One or many paths, lists and patterns."""

from __future__ import annotations

import json

import pytest
from write_data import (
    noise,
    write_picture,
    write_pictures,
)
from written import rows_of, skipped_of


def write_places(root):
    """Write pictures in two folders, one of which knows their classes by its table, and what is none of them."""
    for i, key in enumerate(("one/1.png", "one/2.png", "two/cat/1.png", "two/3.png", "two/broken.png")):
        write_picture(root / key, noise(i, 8, 8, 3))
    (root / "two/broken.png").write_bytes(b"")
    (root / "one/labels.csv").write_text("file,label\n1.png,dog\n")
    for name in ("one/notes.txt", "two/raw.nef"):
        (root / name).touch()


@pytest.mark.parametrize(
    ("words", "keys", "skipped", "not_read"),
    [
        (
            ["one", "two"],
            ["one/1.png", "one/2.png", "two/3.png", "two/cat/1.png"],
            {"two/broken.png", "two/raw.nef"},
            {".txt": 1},
        ),
        (
            ["two/broken.png", "one/*"],
            ["one/1.png", "one/2.png"],
            {"two/broken.png"},
            {".txt": 1},
        ),
        (
            ["two/raw.nef", "two/3.png", "two/cat", "two/3.png"],
            ["3.png", "cat/1.png"],
            {"raw.nef"},
            {},
        ),
        (["@list.txt"], ["two/cat/1.png", "one/1.png"], {"one/gone.png"}, {}),
        (["-", "one/2.png"], ["two/cat/1.png", "one/1.png", "one/2.png"], {"one/gone.png"}, {}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_many_paths_are_predicted_in_their_order(finetuned, tmp_path, mae, monkeypatch, words, keys, skipped, not_read):
    write_places(tmp_path)
    monkeypatch.chdir(tmp_path)
    text = "two/cat/1.png\none/gone.png\none/1.png\n"
    (tmp_path / "list.txt").write_text(text)
    monkeypatch.setattr("maecli.cli.ask.sources.read_stdin", lambda say: text.encode())
    outcome = mae("infer", *words, "--run", finetuned, "--out", "out", "--workers", 0, "--batch-size", 2, "--json")
    assert outcome.exit_code == (3 if skipped else 0)
    rows = {row["path"]: row for row in rows_of(tmp_path / "out")}
    assert list(rows) == keys
    assert set(outcome.json["skipped"]) == set(skipped_of(tmp_path / "out")) == skipped
    assert outcome.json["not_read"] == not_read
    truths = {"one/1.png": "dog", "two/cat/1.png": "cat", "cat/1.png": "cat"}
    assert {key: row["truth"] for key, row in rows.items()} == {key: truths.get(key, "") for key in keys}
    record = json.loads((tmp_path / "out/infer.json").read_text())
    assert record["source"] == str(tmp_path / "two" if "3.png" in keys else tmp_path)


@pytest.mark.slow
def test_each_picture_gets_its_file_below_the_folder_that_holds_all(pretrained, tmp_path, mae):
    write_places(tmp_path)
    places = (tmp_path / "one", tmp_path / "two/cat/1.png")
    assert mae("infer", *places, "--run", pretrained, "--out", tmp_path / "out", "--workers", 0).exit_code == 0
    files = sorted(
        path.relative_to(tmp_path / "out/files").as_posix() for path in (tmp_path / "out/files").rglob("*.png")
    )
    assert files == ["one/1.png.png", "one/2.png.png", "two/cat/1.png.png"]


def test_where_nothing_that_is_named_is_a_picture_that_is_told(finetuned, tmp_path, mae):
    write_places(tmp_path)
    (tmp_path / "one/more.txt").touch()
    words = [tmp_path / "one" / name for name in ("notes.txt", "more.txt", "labels.csv")]
    outcome = mae("infer", *words, "--run", finetuned, "--out", tmp_path / "out")
    assert outcome.exit_code == 3
    assert outcome.stderr.endswith(" are among what is named: 2 .txt\n")
    (tmp_path / "empty").mkdir()
    outcome = mae("infer", words[0], tmp_path / "empty", "--run", finetuned, "--out", tmp_path / "out")
    assert outcome.stderr.endswith(f" are among what is named: {tmp_path / 'empty'}, 1 .txt\n")
    assert not (tmp_path / "out").exists()


def test_masks_are_no_pictures_where_their_folder_is_named_beside_that_of_the_pictures(finetuned, tmp_path, mae):
    for folder in ("images", "masks"):
        write_pictures(tmp_path / "in" / folder, 2)
    arguments = ("--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--overwrite")
    for words in (["in"], ["in/images", "in/masks"]):
        outcome = mae("infer", *(tmp_path / word for word in words), *arguments)
        assert outcome.exit_code == 0
        assert [row["path"] for row in rows_of(tmp_path / "out")] == ["images/000.png", "images/001.png"]
        assert set(skipped_of(tmp_path / "out")) == {"masks/000.png", "masks/001.png"}
        assert "left out: 2 masks, parts or copies of other files" in outcome.stderr


def test_a_folder_without_pictures_among_others_is_told(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    for name in ("empty", "none"):
        (tmp_path / name).mkdir()
    arguments = ("--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--overwrite")
    outcome = mae("infer", tmp_path / "in", tmp_path / "empty", *arguments)
    assert outcome.exit_code == 0
    assert f"nothing to read in {tmp_path / 'empty'}\n" in outcome.stderr
    outcome = mae("infer", tmp_path / "empty", tmp_path / "in", tmp_path / "none", *arguments)
    assert f"nothing to read in {tmp_path / 'empty'}, {tmp_path / 'none'}\n" in outcome.stderr
    assert [row["path"] for row in rows_of(tmp_path / "out")] == ["in/000.png", "in/001.png"]
