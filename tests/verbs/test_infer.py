from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TOY_MODEL, TOY_RUN, call
from PIL import Image
from write_data import (
    encoded,
    noise,
    write_class_folders,
    write_mask_folder,
    write_mixed_folder,
    write_picture,
    write_pictures,
)

from maecli.cli.show.answers import skipped_json
from maecli.data.batch import Batch
from maecli.data.randomness import Draws
from maecli.errors import Fault
from maecli.loading import streamed
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.pictures.modality import Pictures
from maecli.outputs import named_files
from maecli.storage.ledger import Ledger
from maecli.training.task import Prediction
from maecli.verbs import infer as inference


def rows_of(out) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def skipped_of(out) -> dict[str, str]:
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_mixed_folder_gets_a_row_for_every_readable_picture(finetuned, tmp_path, mae, workers):
    mixed = write_mixed_folder(tmp_path / "mixed")
    assert len(mixed) == 200
    out = tmp_path / "out"
    outcome = mae("infer", tmp_path / "mixed", "--run", finetuned, "--out", out, "--workers", workers, "--json")
    assert outcome.exit_code == 3
    broken = mixed.broken | mixed.truncated
    assert outcome.json["predicted"] == len(mixed.readable)
    assert set(outcome.json["skipped"]) == set(broken) | set(mixed.arrays)
    rows = rows_of(out)
    assert sorted(row["path"] for row in rows) == sorted(mixed.readable)
    for row in rows:
        assert list(row) == ["path", "class", "probability", "margin", "p_cat", "p_dog"]
        probabilities = {name: float(row[f"p_{name}"]) for name in ("cat", "dog")}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert row["class"] == max(probabilities, key=lambda name: probabilities[name])
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [{key: str(value) for key, value in line.items()} for line in lines] == rows
    skipped = skipped_of(out)
    assert skipped == outcome.json["skipped"]
    for key, word in broken.items():
        assert word in skipped[key]
    for key in mixed.arrays:
        assert skipped[key] == "has 5 channels where 3 are wanted"
    assert f"{len(skipped)} files could not be read; {out / 'skipped.csv'} says why" in outcome.stderr


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


def test_one_picture_is_enough(finetuned, pictures, tmp_path, mae):
    outcome = mae("infer", pictures / "cat/003.png", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 0
    assert [row["path"] for row in rows_of(tmp_path / "out")] == ["003.png"]


@pytest.mark.slow
def test_batches_do_not_change_a_prediction(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 7)
    found = []
    for size in (1, 3, 64):
        out = tmp_path / f"out{size}"
        settings = ("--workers", 0, "--batch-size", size, "--precision", "float32")
        assert mae("infer", tmp_path / "in", "--run", finetuned, "--out", out, *settings).exit_code == 0
        found.append(
            [(row["path"], row["class"], pytest.approx(float(row["p_cat"]), abs=2e-6)) for row in rows_of(out)]
        )
    assert found[0] == found[1] == found[2]


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


def test_a_picture_that_vanishes_is_listed(finetuned, tmp_path, mae, monkeypatch):
    write_pictures(tmp_path / "in", 3)
    find = Pictures.open

    def find_and_lose(*arguments):
        files = find(*arguments)
        (tmp_path / "in/001.png").unlink()
        return files

    monkeypatch.setattr(Pictures, "open", find_and_lose)
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 3
    assert skipped_of(tmp_path / "out") == {"001.png": "cannot be opened: no such file or directory"}
    assert len(rows_of(tmp_path / "out")) == 2


def test_a_json_answer_names_no_more_than_a_thousand_skipped_files():
    faults = [Fault(f"{i}.png", "empty file") for i in range(2500)]
    told = skipped_json(faults, Path("out/skipped.csv"))
    assert (len(told["skipped"]), told["num_skipped"], told["skipped_file"]) == (1000, 2500, "out/skipped.csv")
    assert skipped_json([Fault("a", "empty file")], Path("skipped.csv")) == {"skipped": {"a": "empty file"}}


@pytest.fixture(scope="session")
def of_many(tmp_path_factory):
    """Return a classifier of 120 classes."""
    root = tmp_path_factory.mktemp("many")
    names = [f"kind {q}" for q in range(120)]
    write_class_folders(root / "data", names, 2)
    data = ("--dataset", "folder", "--root", root / "data", "--out", root / "run", "--epochs", 1)
    outcome = call("finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN, *data)
    assert outcome.exit_code == 0, outcome.stderr
    return root / "run"


@pytest.mark.slow
def test_of_many_classes_the_most_likely_are_told_unless_all_are_asked_for(of_many, tmp_path, mae):
    write_pictures(tmp_path / "in", 3)
    arguments = ("infer", tmp_path / "in", "--run", of_many, "--workers", 0, "--out")
    assert mae(*arguments, tmp_path / "few").exit_code == 0
    assert mae(*arguments, tmp_path / "all", "--all-classes").exit_code == 0
    for few, every in zip(rows_of(tmp_path / "few"), rows_of(tmp_path / "all"), strict=True):
        assert list(few)[:6] == ["path", "class", "probability", "margin", "unsure", "class_1"]
        assert list(few)[-2:] == ["class_5", "probability_5"]
        assert (len(few), len(every)) == (5 + 2 * 5, 5 + 120)
        assert few["class"] == few["class_1"] == every["class"]
        probabilities = {name: float(every[f"p_kind {name}"]) for name in range(120)}
        best = sorted(probabilities.values(), reverse=True)[:5]
        assert [float(few[f"probability_{place}"]) for place in range(1, 6)] == best


def test_a_task_alone_takes_its_newest_finished_run_and_says_which(finetuned, pretrained, tmp_path, mae):
    for name, source, finished_at in (("old", finetuned, 1.0), ("new", finetuned, 2.0), ("other", pretrained, 3.0)):
        run = shutil.copytree(source, tmp_path / "runs" / name)
        summary = json.loads((run / "summary.json").read_text()) | {"finished_at": finished_at}
        (run / "summary.json").write_text(json.dumps(summary))
    write_pictures(tmp_path / "in", 2)
    outcome = mae("infer", tmp_path / "in", "--task", "classify", "--workers", 0, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["run"] == str(tmp_path / "runs/new")
    assert f"using {tmp_path / 'runs/new'}, the newest finished run of task classify, trained on " in outcome.stderr
    assert re.search(r"trained on \S+ \(data set folder\)", outcome.stderr)
    assert outcome.json["out"] == str(tmp_path / "runs/infer-new")


def test_pictures_that_are_all_broken_are_all_listed(finetuned, tmp_path, mae):
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / "in" / name, noise(0, 8, 8))
        (tmp_path / "in" / name).write_bytes(b"")
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 3
    assert skipped_of(tmp_path / "out") == {"a.png": "empty file", "b.png": "empty file"}
    assert rows_of(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "give --run RUN, or --task TASK to take the newest finished run of that task"),
        (("--task", "clasify"), 2, "unknown task 'clasify'; did you mean 'classify'?; installed: classify"),
        (("--task", "classify"), 1, "no finished run of task 'classify' under "),
    ],
)
def test_without_a_run_the_way_to_one_is_told(tmp_path, mae, arguments, code, words):
    write_pictures(tmp_path / "in", 1)
    outcome = mae("infer", tmp_path / "in", *arguments)
    assert outcome.exit_code == code
    assert words in outcome.stderr


def test_what_is_no_run_is_refused(tmp_path, mae):
    write_pictures(tmp_path / "in", 1)
    outcome = mae("infer", tmp_path / "in", "--run", tmp_path / "in")
    assert outcome.exit_code == 2
    assert "is neither a run directory nor a checkpoint" in outcome.stderr


def test_a_run_of_another_task_is_refused(finetuned, pictures, mae):
    outcome = mae("infer", pictures, "--run", finetuned, "--task", "reconstruct")
    assert outcome.exit_code == 2
    assert f"{finetuned} was trained for task 'classify', not 'reconstruct'" in outcome.stderr


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
    assert "mae: 1 file could not be read; " in outcome.stderr


def test_predictions_are_replaced_only_if_asked_for(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert mae(*arguments).exit_code == 0
    (tmp_path / "in/000.png").unlink()
    refused = mae(*arguments)
    assert refused.exit_code == 2
    assert f"{tmp_path / 'out'} holds what mae infer wrote already; use another --out, or --overwrite" in refused.stderr
    assert len(rows_of(tmp_path / "out")) == 2
    assert mae(*arguments, "--overwrite").exit_code == 0
    assert len(rows_of(tmp_path / "out")) == 1


def test_overwriting_touches_nothing_but_predictions(finetuned, pictures, tmp_path, mae):
    copy = shutil.copytree(pictures, tmp_path / "in")
    outcome = mae("infer", copy, "--run", finetuned, "--out", copy, "--overwrite")
    assert outcome.exit_code == 2
    assert f"{copy} holds what mae infer did not write (cat and more), so it stays; use another --out" in outcome.stderr
    assert sorted(copy.rglob("*")) == [copy / path.relative_to(pictures) for path in sorted(pictures.rglob("*"))]


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_inference_that_does_not_end_loses_nothing(pretrained, tmp_path, mae, monkeypatch, error):
    write_pictures(tmp_path / "in", 3)
    out = tmp_path / "out"
    arguments = ("infer", tmp_path / "in", "--run", pretrained, "--workers", 0, "--batch-size", 1, "--overwrite")
    assert mae(*arguments, "--out", out).exit_code == 0
    before = contents(out)
    batches = StreamedLoader.eval_batches

    def some(self, batch_size, limit=None):
        yield next(batches(self, batch_size, limit))
        raise error("midway")

    monkeypatch.setattr(StreamedLoader, "eval_batches", some)
    if error is KeyboardInterrupt:
        assert mae(*arguments, "--out", out).exit_code == 130
        assert mae(*arguments, "--out", tmp_path / "new").exit_code == 130
    else:
        with pytest.raises(error, match="midway"):
            mae(*arguments, "--out", out)
        with pytest.raises(error, match="midway"):
            mae(*arguments, "--out", tmp_path / "new")
    assert contents(out) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_an_encoder_that_fails_ends_inference_and_loses_nothing(pretrained, tmp_path, mae, monkeypatch):
    write_pictures(tmp_path / "in", 3)
    out = tmp_path / "out"
    arguments = ("infer", tmp_path / "in", "--run", pretrained, "--out", out, "--workers", 0, "--overwrite")
    assert mae(*arguments).exit_code == 0
    before = contents(out)

    def broken():
        raise ValueError("no ink left")

    def predict(task, module, batch):
        return [Prediction({}, {".png": broken}) for _ in batch.keys]

    monkeypatch.setattr(inference, "predict", predict)
    with pytest.raises(ValueError, match="no ink left"):
        mae(*arguments)
    assert contents(out) == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_rows_keep_the_order_of_the_files_when_batches_come_in_another(finetuned, tmp_path, mae, monkeypatch):
    names = write_pictures(tmp_path / "in", 7)
    (tmp_path / "in" / names[4]).write_bytes(b"")
    batches = StreamedLoader.eval_batches

    def by_size(self, batch_size, limit=None):
        first, second, *others = batches(self, batch_size, limit)
        yield from (second, first, *reversed(others))

    monkeypatch.setattr(StreamedLoader, "eval_batches", by_size)
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert mae(*arguments, "--batch-size", 2).exit_code == 3
    assert [row["path"] for row in rows_of(tmp_path / "out")] == [name for name in names if name != names[4]]


@pytest.mark.slow
def test_the_number_of_files_asks_for_no_sync(pretrained, tmp_path, mae, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    counts = []
    for num in (1, 50):
        write_pictures(tmp_path / f"in{num}", num)
        arguments = ("infer", tmp_path / f"in{num}", "--run", pretrained, "--workers", 0, "--out")
        assert mae(*arguments, tmp_path / f"out{num}").exit_code == 0
        assert len(list((tmp_path / f"out{num}/files").iterdir())) == num
        counts.append(len(synced))
        synced.clear()
    assert counts[0] == counts[1] <= 8


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".mae")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_overwriting_leaves_nothing_of_the_earlier_predictions(pretrained, finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    out = tmp_path / "out"
    arguments = ("infer", tmp_path / "in", "--out", out, "--workers", 0, "--overwrite", "--run")
    assert mae(*arguments, pretrained).exit_code == 0
    common = {"predictions.csv", "predictions.jsonl", "skipped.csv", "infer.json", "report.html"}
    assert set(contents(out)) == common | {"files/000.png.png", "files/001.png.png", "reconstructions.png"}
    (tmp_path / "in/000.png").unlink()
    assert mae(*arguments, pretrained).exit_code == 0
    assert set(contents(out)) == common | {"files/001.png.png", "reconstructions.png"}
    assert mae(*arguments, finetuned).exit_code == 0
    assert set(contents(out)) == common | {"predictions.png"}


def test_what_a_killed_inference_left_behind_is_no_obstacle(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 1)
    out = tmp_path / "out"
    Ledger(tmp_path / ".out.tmp", "infer").begin()
    (tmp_path / ".out.tmp/files").mkdir()
    assert mae("infer", tmp_path / "in", "--run", finetuned, "--out", out, "--workers", 0).exit_code == 0
    assert not (tmp_path / ".out.tmp").exists()


@pytest.mark.parametrize("name", ["files/holiday.png", "predictions.png", "predictions.csv"])
def test_a_folder_that_no_inference_wrote_is_not_overwritten(finetuned, tmp_path, mae, name):
    write_pictures(tmp_path / "in", 1)
    file = tmp_path / "out" / name
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--overwrite")
    assert outcome.exit_code == 2
    assert f"holds what mae infer did not write ({name.split('/')[0]}), so it stays" in outcome.stderr
    assert contents(tmp_path / "out") == {name: b"precious"}


def red(file):
    """Return the number of pixels in the colour of a wrong prediction's frame."""
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    return int((np.abs(pixels - (0xB3, 0x26, 0x1E)).max(-1) < 8).sum())


@pytest.mark.slow
def test_the_first_predictions_are_drawn_and_marked_where_they_are_known_to_be_wrong(finetuned, tmp_path, mae):
    for i in range(40):
        write_picture(tmp_path / "in" / f"{i:03d}.png", np.full((8, 8), 6 * i, np.uint8))
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--overwrite")
    outcome = mae(*arguments, "--batch-size", 16, "--json")
    sheet = tmp_path / "out/predictions.png"
    assert outcome.json["pictures"] == [str(sheet)]
    assert red(sheet) == 0
    record = json.loads((tmp_path / "out/infer.json").read_text())
    assert record["pictures"] == [
        {
            "file": "predictions.png",
            "caption": "Predicted class and probability; predictions that are known to be wrong are marked.",
        }
    ]
    assert (record["task"], record["predicted"], record["skipped"]) == ("classify", 40, 0)
    guesses = {row["path"]: row["class"] for row in rows_of(tmp_path / "out")}
    other = {"cat": "dog", "dog": "cat"}
    for wrong, marked in ((set(), False), ({"039.png"}, False), ({"035.png"}, True)):
        labels = [f"{key},{other[guess] if key in wrong else guess}" for key, guess in guesses.items()]
        (tmp_path / "in/labels.csv").write_text("\n".join(["file,label", *labels]))
        outcome = mae(*arguments)
        assert f"the first of them, drawn: {sheet}" in outcome.stdout
        assert (red(sheet) > 0) == marked  # only the first 36 are drawn


def test_a_labels_file_that_cannot_be_used_is_named(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 1)
    (tmp_path / "in/labels.csv").write_text("picture,kind\n000.png,cat\n")
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 0
    assert f"no prediction is marked by labels.csv: {tmp_path / 'in/labels.csv'}, line 1: no column" in outcome.stderr


class Recorder:
    """A task that keeps what it is asked to draw."""

    def __init__(self, own_size):
        self.own_size, self.drawn = own_size, []

    def draw(self, module, batch):
        self.drawn.append(batch)
        return []


def some_pictures(first, num):
    ids = torch.arange(first, first + num)
    images = ids.float().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    return Batch({"image": images}, Draws(0, -1, ids), [f"{i}.png" for i in ids.tolist()])


def test_the_first_36_samples_are_drawn_with_their_own_random_numbers():
    task = Recorder(own_size=False)
    first = inference.FirstPictures(task, None)
    for start in (0, 20, 40):
        first.add(some_pictures(start, 20))
    first.draw(torch.nn.Identity())
    (batch,) = task.drawn
    assert batch["image"][:, 0, 0, 0].tolist() == list(range(36))
    assert batch.draws.ids.tolist() == list(range(36))
    assert list(batch.keys) == [f"{i}.png" for i in range(36)]
    assert "label" not in batch


def test_nothing_is_kept_of_pictures_at_their_own_size():
    task = Recorder(own_size=True)
    first = inference.FirstPictures(task, None)
    first.add(some_pictures(0, 1))
    assert first.draw(torch.nn.Identity()) == []
    assert task.drawn == []
    assert first.tensors == []


@pytest.mark.parametrize(
    ("num_files", "own_size", "workers"),
    [(63, False, 0), (200, False, 3), (10_000, False, 7), (15, True, 0), (31, True, 1), (10_000, True, 2)],
)
def test_processes_are_started_where_they_pay_and_few_for_large_pictures(monkeypatch, num_files, own_size, workers):
    monkeypatch.setattr(streamed, "default_workers", lambda: 7)
    assert streamed.num_workers(num_files, 64, own_size) == workers


def test_the_terminal_tells_the_answers_by_class_the_least_certain_and_how_many_are_right(finetuned, tmp_path, mae):
    for i in range(12):
        folder = "cat" if i < 6 else "elsewhere"
        write_picture(tmp_path / "in" / folder / f"{i:02d}.png", np.full((8, 8), 20 * i, np.uint8))
    out = tmp_path / "out"
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", out, "--workers", 0, "--overwrite")
    outcome = mae(*arguments)
    rows = rows_of(out)
    assert list(rows[0]) == ["path", "class", "probability", "margin", "truth", "p_cat", "p_dog"]
    assert [row["truth"] for row in rows] == ["cat"] * 6 + [""] * 6
    for row in rows:
        first, second = sorted((float(row["p_cat"]), float(row["p_dog"])), reverse=True)
        assert float(row["probability"]) == first
        assert float(row["margin"]) == pytest.approx(first - second, abs=2e-6)
    lines = outcome.stdout.splitlines()
    assert lines[0].split() == ["class", "pictures", "share"]
    counts = dict(Counter(row["class"] for row in rows))
    assert {line.split()[0]: int(line.split()[1]) for line in lines[1:3] if line} == counts
    assert "the least certain of 12:" in lines
    start = lines.index("the least certain of 12:") + 1
    assert lines[start].split() == ["path", "class", "probability", "margin", "truth"]
    ranked = sorted(rows, key=lambda row: float(row["margin"]))
    assert [line.split()[0] for line in lines[start + 1 : start + 11]] == [row["path"] for row in ranked[:10]]
    right = sum(row["class"] == "cat" for row in rows[:6])
    assert f"right: {right} of the 6 pictures whose truth is known, {right / 6:.1%} (95% interval: " in outcome.stdout
    told = mae(*arguments, "--json").json
    with_values = [{key: value for key, value in row.items() if value} for row in rows]
    assert [{key: str(value) for key, value in row.items()} for row in told["predictions"]] == with_values
    assert told["classes"] == counts
    assert (told["accuracy"]["right"], told["accuracy"]["known"]) == (right, 6)
    assert [each["path"] for each in told["least_certain"]] == [row["path"] for row in ranked[:10]]
    assert json.loads((out / "infer.json").read_text())["classes"] == told["classes"]


def test_the_page_shows_mistakes_first_and_links_to_the_files(finetuned, pictures, tmp_path, mae):
    root, out = shutil.copytree(pictures, tmp_path / "in"), tmp_path / "out"
    cats = sorted(path.relative_to(root).as_posix() for path in root.glob("cat/*.png"))
    (root / "labels.csv").write_text("\n".join(["file,label", *(f"{key},dog" for key in cats[:5])]))
    outcome = mae("infer", root, "--run", finetuned, "--out", out, "--workers", 0)
    page = (out / "report.html").read_text(encoding="utf-8")
    wrong = [row for row in rows_of(out) if row["class"] != row["truth"]]
    assert f"<h2>Mistakes ({len(wrong)})</h2>" in page
    assert page.index("Mistakes") < page.index("Least certain (24 of 40 pictures)") < page.index("By class")
    first = max(wrong, key=lambda row: float(row["probability"]))
    shown = page[page.index("Mistakes") : page.index("Least certain")]
    assert f"{first['truth']} → <strong" in shown
    link = re.search('href="([^"]+)"', shown)[1]
    assert (out / link).resolve() == root / first["path"]
    assert 'src="http' not in page
    assert f"  open {out / 'report.html'} in a browser" in outcome.stdout
    assert "32 of these 40 pictures were in training: the accuracy says nothing of new ones; of the 8 others " in (
        outcome.stdout
    ), "copies are known by their content"


def test_of_masks_the_page_shows_truth_beside_prediction_and_rows_how_well_they_agree(segmented, tmp_path, mae):
    names, out = write_mask_folder(tmp_path / "new", 4), tmp_path / "out"
    (tmp_path / "new/masks" / names[3]).write_bytes(b"broken")
    outcome = mae("infer", tmp_path / "new/images", "--run", segmented, "--out", out, "--workers", 0, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    rows = rows_of(out)
    assert list(rows[0])[:4] == ["path", "classes", "iou", "pixel_accuracy"]
    assert [bool(row["iou"]) for row in rows] == [True, True, True, False]
    assert "the true masks of 1 picture cannot be used, such as that of 003.png: " in outcome.stderr
    told = outcome.json["masks"]
    assert (told["samples"], told["known"], told["baseline"]["name"]) == (4, 3, "all background")
    assert sum(told["shares"].values()) == pytest.approx(1)
    assert set(told["iou"]) == {"background", "cat", "dog"}
    assert told["mean_iou"] == pytest.approx(np.mean(list(told["iou"].values())))
    assert told == json.loads((out / "infer.json").read_text())["masks"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Largest disagreements (3 pictures)" in page
    assert "Without a known mask (1 picture)" in page
    assert page.count(">truth</span>") == 3
    lines = mae("infer", tmp_path / "new", "--run", segmented, "--out", tmp_path / "2", "--workers", 0).stdout
    assert lines.splitlines()[0].split("  ")[-1].strip() == "IoU"
    assert "mean IoU: " in lines


def test_the_page_of_a_task_without_answers_sums_up_its_numbers(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 3)
    outcome = mae("infer", tmp_path / "in", "--run", pretrained, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 0, outcome.stderr
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "masked_mse" in page
    assert "Reconstructions with" in page


def test_of_one_picture_its_answer_is_told(finetuned, pictures, tmp_path, mae):
    outcome = mae("infer", pictures / "cat/003.png", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    (row,) = rows_of(tmp_path / "out")
    told = dict(line.split() for line in outcome.stdout.splitlines()[: len(row)])
    assert list(told) == list(row)
    assert (told["path"], told["class"], told["truth"]) == ("003.png", row["class"], "cat")
    assert float(told["probability"]) == pytest.approx(float(row["probability"]), abs=1e-4)
    assert "the least certain" not in outcome.stdout


def test_a_json_answer_holds_a_thousand_predictions_and_of_more_the_file(finetuned, tmp_path, mae, monkeypatch):
    write_pictures(tmp_path / "in", 3)
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--json")
    for most, keys in ((3, ("predictions",)), (2, ("predictions_file",))):
        monkeypatch.setattr("maecli.cli.show.predictions.MOST_TOLD", most)
        told = mae(*arguments, "--overwrite").json
        assert tuple(key for key in told if key.startswith("predictions")) == keys
    assert told["predictions_file"] == str(tmp_path / "out/predictions.jsonl")


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


def test_outputs_that_hold_one_of_several_inputs_stay(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    arguments = ("--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--overwrite")
    assert mae("infer", tmp_path / "in", *arguments).exit_code == 0
    outcome = mae("infer", tmp_path / "in", tmp_path / "out/predictions.png", *arguments)
    assert outcome.exit_code == 2
    assert f"the input {tmp_path / 'out'} lies in --out {tmp_path / 'out'}, which would be replaced" in outcome.stderr
