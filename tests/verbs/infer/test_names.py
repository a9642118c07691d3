"""Whatever a picture is called, it gets its row and its files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil

import pytest
from write_data import (
    noise,
    write_picture,
    write_pictures,
)
from written import rows_of, skipped_of

from maecli.outputs import named_files


@pytest.mark.slow
def test_files_of_one_name_never_meet(pretrained, tmp_path, mae):
    for i, key in enumerate(("a/1.jpg", "b/1.png", "b/1.jpg", "1.png")):
        write_picture(tmp_path / "in" / key, noise(i, 8, 8, 3))
    out = tmp_path / "out"
    outcome = mae("infer", tmp_path / "in", "--run", pretrained, "--out", out, "--workers", 0)
    assert outcome.exit_code == 0
    assert f"4 predicted: {out / 'predictions.csv'}" in outcome.stdout
    assert sorted(row["path"] for row in rows_of(out)) == ["1.png", "a/1.jpg", "b/1.jpg", "b/1.png"]
    files = sorted(path.relative_to(out / "files").as_posix() for path in (out / "files").rglob("*.png"))
    assert files == ["1.png.png", "a/1.jpg.png", "b/1.jpg.png", "b/1.png.png"]


def test_a_file_name_that_is_no_utf8_gets_its_row(finetuned, tmp_path, mae):
    names = write_pictures(tmp_path / "in", 1)
    odd = os.fsdecode(b"caf\xe9.png")
    try:
        os.rename(tmp_path / "in" / names[0], tmp_path / "in" / odd)  # noqa: PTH104
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--json")
    assert outcome.exit_code == 0
    lines = (tmp_path / "out/predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["path"] == odd


NAMES = [
    f"{'x' * 250}1.png",
    f"{'x' * 250}2.png",
    f"{'漢' * 83}.png",
    "a\nb.png",
    "\x1b[31m.png",
    "[/b][red].png",
    "-rf.png",
    "=1+1.png",
    os.fsdecode(b"\xe9.png"),
    "a.jpg",
    "a.jpg.png/a.jpg",
]


@pytest.mark.slow
def test_any_name_of_a_picture_gets_its_row_and_its_file(pretrained, tmp_path, mae):
    picture = tmp_path / "picture.png"
    write_picture(picture, noise(0, 8, 8, 3))
    keys = []
    for name in NAMES:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a file system may take fewer names
            shutil.copy(picture, tmp_path / "in" / name)
            keys.append(name)
    out = tmp_path / "out"
    outcome = mae("infer", tmp_path / "in", "--run", pretrained, "--out", out, "--workers", 0)
    assert outcome.exit_code == 0, outcome.stderr
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(row["path"] for row in rows) == sorted(keys)
    files = {row["path"]: out / row.get("file.png", f"files/{row['path']}.png") for row in rows}
    assert {file.stat().st_size > 0 for file in files.values()} == {True}
    assert {file for file in (out / "files").rglob("*") if file.is_file()} == set(files.values())
    assert {row["path"] for row in rows if "file.png" in row} == {*NAMES[:3], NAMES[-1]}
    assert len(rows_of(out)) == len(keys)


@pytest.mark.slow
def test_an_output_that_no_name_fits_ends_nothing(pretrained, tmp_path, mae, monkeypatch):
    write_pictures(tmp_path / "in", 3)
    create = named_files.create

    def picky(file, data):
        if data and len(list(file.parent.glob("*"))) == 1:
            raise OSError(errno.EINVAL, "Invalid argument")
        create(file, data)

    monkeypatch.setattr(named_files, "create", picky)
    outcome = mae("infer", tmp_path / "in", "--run", pretrained, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 3
    reason = "what was made of it cannot be written: invalid argument"
    assert skipped_of(tmp_path / "out") == {"001.png": reason, "002.png": reason}
    assert [row["path"] for row in rows_of(tmp_path / "out")] == ["000.png"]
