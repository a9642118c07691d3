"""What lies beside pictures and is none is named, or counted."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image
from write_data import (
    encoded,
    noise,
    write_pictures,
)
from written import rows_of, skipped_of

from maecli.cli.show.answers import skipped_json
from maecli.errors import Fault


def test_a_json_answer_names_no_more_than_a_thousand_skipped_files():
    faults = [Fault(f"{i}.png", "empty file") for i in range(2500)]
    told = skipped_json(faults, Path("out/skipped.csv"))
    assert (len(told["skipped"]), told["num_skipped"], told["skipped_file"]) == (1000, 2500, "out/skipped.csv")
    assert skipped_json([Fault("a", "empty file")], Path("skipped.csv")) == {"skipped": {"a": "empty file"}}


def test_a_source_without_pictures_is_refused(finetuned, tmp_path, mae):
    outcome = mae("infer", tmp_path / "none", "--run", finetuned)
    assert outcome.exit_code == 3
    assert f"{tmp_path / 'none'} does not exist; give a file (.apng, .avif, " in outcome.stderr
    (tmp_path / "empty").mkdir()
    outcome = mae("infer", tmp_path / "empty", "--run", finetuned)
    assert outcome.exit_code == 3
    assert "holds no pictures (.apng, .avif, .avifs, .bmp, " in outcome.stderr
    assert outcome.stderr.endswith("also not in its folders; it is empty\n")
    for name in ("a.zip", "b.nef", "c.nef"):
        (tmp_path / "empty" / name).touch()
    outcome = mae("infer", tmp_path / "empty", "--run", finetuned)
    assert outcome.exit_code == 3
    assert outcome.stderr.endswith(
        "; it holds 2 .nef, 1 .zip (an archive: unpack it); b.nef is a camera's raw file, which is not read; export it "
        "as JPEG or TIFF\n"
    )
    assert not (tmp_path / "runs").exists()


def test_what_is_not_read_is_named_if_it_is_like_a_picture_and_else_counted(finetuned, tmp_path, mae):
    source, out = tmp_path / "in", tmp_path / "out"
    write_pictures(source, 2)
    (source / "001.png").rename(source / "scan")
    for name in ("a.nef", "logo.svg", "000.png.bak", "a.txt", "b.txt", "c.zip", "@eaDir/000.png", "Thumbs.db"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).touch()
    outcome = mae("infer", source, "--run", finetuned, "--out", out, "--workers", 0, "--json")
    assert outcome.exit_code == 3
    assert [row["path"] for row in rows_of(out)] == ["000.png", "scan"]
    unread = {
        "a.nef": "a camera's raw file, which is not read; export it as JPEG or TIFF",
        "logo.svg": "a drawing or a project of a graphics program, which is not read; export it as PNG",
    }
    copy = {"000.png.bak": "a copy that a program keeps, which is not read; rename it if it is data"}
    assert skipped_of(out) == unread | copy
    assert outcome.json["skipped"] == unread
    told = {
        "left_out": {"masks, parts or copies of other files": 1, "in @eaDir/, kept by a NAS": 1},
        "not_read": {".txt": 2, ".zip": 1},
    }
    record = json.loads((out / "infer.json").read_text())
    for key, value in told.items():
        assert outcome.json[key] == record[key] == value
    assert record["skipped"] == 2
    assert "not read: 2 .txt, 1 .zip (an archive: unpack it)\n" in outcome.stderr
    assert f"2 files could not be read; {out / 'skipped.csv'} says why" in outcome.stderr


def test_files_of_other_kinds_are_no_failure(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    (tmp_path / "in/notes.txt").touch()
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 0
    assert skipped_of(tmp_path / "out") == {}
    assert "not read: 1 .txt" in outcome.stderr


def test_a_raw_file_alone_is_broken_and_not_read_as_its_first_page(finetuned, tmp_path, mae):
    (tmp_path / "1.nef").write_bytes(encoded(Image.fromarray(noise(0, 8, 8, 3)), "TIFF"))
    outcome = mae("infer", tmp_path / "1.nef", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 3
    reason = "is a camera's raw file, which is not read; export it as JPEG or TIFF"
    assert skipped_of(tmp_path / "out") == {"1.nef": reason}
    assert f"mae: 1 file could not be read; 1.nef: {reason}" in outcome.stderr
