from __future__ import annotations

import csv
import json
import os
import shutil

import pytest
from twins import noise, write_mixed_folder, write_picture, write_pictures


def rows_of(out) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def skipped_of(out) -> dict[str, str]:
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


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
        assert list(row) == ["path", "class", "p_cat", "p_dog"]
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


def test_a_task_alone_takes_its_newest_finished_run_and_says_which(finetuned, pretrained, tmp_path, mae):
    for name, source, finished_at in (("old", finetuned, 1.0), ("new", finetuned, 2.0), ("other", pretrained, 3.0)):
        run = shutil.copytree(source, tmp_path / "runs" / name)
        summary = json.loads((run / "summary.json").read_text()) | {"finished_at": finished_at}
        (run / "summary.json").write_text(json.dumps(summary))
    write_pictures(tmp_path / "in", 2)
    outcome = mae("infer", tmp_path / "in", "--task", "classify", "--workers", 0, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["run"] == str(tmp_path / "runs/new")
    assert f"using {tmp_path / 'runs/new'}, the newest finished run of task classify" in outcome.stderr
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
    assert f"{tmp_path / 'none'} does not exist; give a picture or a folder of pictures" in outcome.stderr
    (tmp_path / "empty").mkdir()
    outcome = mae("infer", tmp_path / "empty", "--run", finetuned)
    assert outcome.exit_code == 3
    assert "holds no picture (JPEG, PNG, WebP, BMP, TIFF or .npy), also not in its folders" in outcome.stderr
    assert not (tmp_path / "runs").exists()


def test_predictions_are_replaced_only_if_asked_for(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert mae(*arguments).exit_code == 0
    (tmp_path / "in/000.png").unlink()
    refused = mae(*arguments)
    assert refused.exit_code == 2
    assert f"{tmp_path / 'out'} is not empty; use --overwrite to replace its predictions" in refused.stderr
    assert len(rows_of(tmp_path / "out")) == 2
    assert mae(*arguments, "--overwrite").exit_code == 0
    assert len(rows_of(tmp_path / "out")) == 1


def test_overwriting_touches_nothing_but_predictions(finetuned, pictures, tmp_path, mae):
    copy = shutil.copytree(pictures, tmp_path / "in")
    outcome = mae("infer", copy, "--run", finetuned, "--out", copy, "--overwrite")
    assert outcome.exit_code == 2
    assert f"{copy} holds other things than predictions, so --overwrite does not touch it" in outcome.stderr
    assert sorted(copy.rglob("*")) == [copy / path.relative_to(pictures) for path in sorted(pictures.rglob("*"))]
