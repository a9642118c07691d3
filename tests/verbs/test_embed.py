from __future__ import annotations

import json
import shlex
import shutil
import warnings

import numpy as np
import pytest
import torch
from checkpoint_files import rewrite
from safetensors import safe_open
from safetensors.numpy import load_file
from write_data import noise, write_class_folders, write_mixed_folder, write_mnist, write_picture, write_pictures
from written import csv_rows

from maecli.loading.streamed import StreamedLoader
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.restore import restore_encoder


@torch.no_grad()
def made_by_hand(run, folder):
    """Return all tokens of the pictures below a folder, (N, 1 + P, D)."""
    loaded = restore_encoder(run, registry(), Progress().say)
    preprocess = loaded.preprocess.for_files(loaded.card)
    _, split = preprocess.modality.open(folder, loaded.card, preprocess.img_size)
    (batch,) = StreamedLoader(split, preprocess, torch.device("cpu"), 0, workers=0).eval_batches(100)
    return loaded.encoder(batch["image"]).numpy()


def read(out):
    """Return features as other programs read them."""
    if out.suffix == ".safetensors":
        return load_file(out)["features"]
    if out.suffix == ".npy":
        return np.load(out, allow_pickle=False)
    return np.array([[np.float32(row[f"f{i}"]) for i in range(16)] for row in csv_rows(out)], np.float32)


@pytest.mark.parametrize("ending", ["safetensors", "npy", "csv"])
@pytest.mark.parametrize("source", ["pretrained", "finetuned"])
def test_a_file_reads_back_as_what_the_encoder_made(request, tmp_path, mae, source, ending):
    run, out = request.getfixturevalue(source), tmp_path / f"out/features.{ending}"
    names = write_pictures(tmp_path / "in", 5)
    outcome = mae("embed", tmp_path / "in", "--run", run, "--out", out, "--workers", 0, "--json", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    beside = out if ending == "csv" else tmp_path / f"out/features.{ending}.csv"
    assert outcome.json == {
        "out": str(out),
        "names": str(beside),
        "run": str(run),
        "shape": [5, 16],
        "skipped": {},
        "left_out": {},
        "not_read": {},
    }
    features = read(out)
    assert (features.shape, features.dtype) == ((5, 16), np.float32)
    np.testing.assert_allclose(features, made_by_hand(run, tmp_path / "in")[:, 1:].mean(1), atol=1e-6)
    rows = csv_rows(beside)
    assert [row["path"] for row in rows] == names
    assert "label" not in rows[0]
    assert {file.name for file in out.parent.iterdir()} == {".mae", out.name, beside.name}


def test_what_is_not_read_is_named_if_it_is_like_a_picture_and_else_counted(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    for name in ("a.nef", "000.png.bak", "a.txt", "c.zip"):
        (tmp_path / "in" / name).touch()
    out = tmp_path / "features.npy"
    outcome = mae("embed", tmp_path / "in", "--run", pretrained, "--out", out, "--workers", 0, "--json")
    assert outcome.exit_code == 3
    assert outcome.json["shape"] == [2, 16]
    assert outcome.json["not_read"] == {".txt": 1, ".zip": 1}
    assert outcome.json["left_out"] == {"masks, parts or copies of other files": 1}
    assert [row["path"] for row in csv_rows(tmp_path / "features.npy.skipped.csv")] == ["000.png.bak", "a.nef"]
    assert list(outcome.json["skipped"]) == ["a.nef"]
    assert "not read: 1 .txt, 1 .zip (an archive: unpack it)\n" in outcome.stderr


@pytest.mark.parametrize("words", [["in/a.png", "in/b"], ["in/**/*.png"], ["@list.txt"]], ids=["paths", "glob", "list"])
def test_many_paths_are_embedded_under_the_folder_that_holds_all(pretrained, tmp_path, mae, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for i, key in enumerate(("a.png", "b/1.png", "b/2.png")):
        write_picture(tmp_path / "in" / key, noise(i, 8, 8, 3))
    (tmp_path / "list.txt").write_text("in/a.png\nin/b\n")
    outcome = mae("embed", *words, "--run", pretrained, "--out", "features.npy", "--workers", 0)
    assert outcome.exit_code == 0, outcome.stderr
    assert [row["path"] for row in csv_rows(tmp_path / "features.npy.csv")] == ["a.png", "b/1.png", "b/2.png"]
    np.testing.assert_allclose(
        read(tmp_path / "features.npy"), made_by_hand(pretrained, tmp_path / "in")[:, 1:].mean(1), atol=1e-6
    )
    assert f"mae eval {pretrained} --probe knn" in outcome.stdout, "the pictures of the run have labels"


@pytest.mark.parametrize("name", ["features.safetensors", "features.npy", "features.csv", 'it\'s \\ "mine".npy'])
def test_the_last_command_reads_the_features_in_python(pretrained, tmp_path, mae, name):
    write_pictures(tmp_path / "in", 3)
    out = tmp_path / "my runs" / name
    outcome = mae("embed", tmp_path / "in", "--run", pretrained, "--out", out, "--workers", 0)
    assert outcome.exit_code == 0, outcome.stderr
    (line,) = [line.strip() for line in outcome.stdout.splitlines() if line.startswith("  python ")]
    *command, code = shlex.split(line)
    assert command == ["python", "-ic"]
    if "'" not in name:
        assert line == f"python -ic '{code}'"
        assert f'"{out}"' in code
    found: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a file that an interpreter leaves open
        exec(code, found)
    assert len(found["rows"] if name.endswith("csv") else found["features"]) == 3


def test_the_formats_hold_the_same_bits_and_so_does_a_second_call(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 3)
    found = []
    for name in ("a.safetensors", "b.npy", "c.csv", "d.npy"):
        out = tmp_path / name
        assert mae("embed", tmp_path / "in", "--run", pretrained, "--out", out, "--workers", 0).exit_code == 0
        found.append(read(out))
    for each in found[1:]:
        np.testing.assert_array_equal(each, found[0])


def test_class_token_and_patches_can_be_had(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 3)
    tokens = made_by_hand(pretrained, tmp_path / "in")
    for kind, expected in (("cls", tokens[:, 0]), ("patches", tokens[:, 1:])):
        for ending in ("npy", "safetensors"):
            out = tmp_path / f"{kind}.{ending}"
            outcome = mae("embed", tmp_path / "in", "--run", pretrained, "--out", out, "--tokens", kind, "--workers", 0)
            assert outcome.exit_code == 0, outcome.stderr
            np.testing.assert_allclose(read(out), expected, atol=1e-6)
    assert tokens[:, 1:].shape == (3, 16, 16)


def test_the_file_says_where_it_came_from_and_what_is_known_of_labels(pretrained, finetuned, tmp_path, mae):
    write_class_folders(tmp_path / "in", num=2)
    write_picture(tmp_path / "in/stray.png", noise(0, 8, 8, 3))
    out = tmp_path / "features.safetensors"
    assert mae("embed", tmp_path / "in", "--run", finetuned, "--out", out, "--workers", 0).exit_code == 0
    with safe_open(out, framework="np") as file:
        told = json.loads(file.metadata()["features"])
    assert told == {
        "run": str(finetuned),
        "checkpoint": str(finetuned / "checkpoints/step-000008"),
        "tokens": "mean",
        "classes": ["cat", "dog"],
    }
    assert load_file(out)["label"].tolist() == [0, 0, 1, 1, -1]
    rows = csv_rows(tmp_path / "features.safetensors.csv")
    assert [(row["path"], row["label"]) for row in rows] == [
        *(("cat/000.png", "cat"), ("cat/001.png", "cat"), ("dog/000.png", "dog"), ("dog/001.png", "dog")),
        ("stray.png", ""),
    ]
    csv_out = tmp_path / "features.csv"
    assert mae("embed", tmp_path / "in", "--run", finetuned, "--out", csv_out, "--workers", 0).exit_code == 0
    assert list(csv_rows(csv_out)[0])[:4] == ["path", "label", "f0", "f1"]


def test_a_data_set_is_embedded_with_its_labels(pretrained, tmp_path, mae):
    out = tmp_path / "test.npy"
    arguments = ("embed", "--run", pretrained, "--dataset", "folder", "--out", out, "--json")
    outcome = mae(*arguments, "--split", "test")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["shape"] == [4, 16]
    rows = csv_rows(tmp_path / "test.npy.csv")
    assert [row["path"].split("/")[0] for row in rows] == [row["label"] for row in rows] == ["cat", "cat", "dog", "dog"]
    assert mae(*arguments, "--overwrite").json["shape"] == [32, 16]


def test_unlabelled_samples_of_a_data_set_are_embedded_too(pretrained, tmp_path, mae):
    write_class_folders(tmp_path / "in", num=4)
    (tmp_path / "in/labels.csv").write_text("file,label,split\ncat/000.png,cat,train\ndog/000.png,dog,train\n")
    out = tmp_path / "all.safetensors"
    data = ("--dataset", "folder", "--root", tmp_path / "in")
    assert mae("embed", "--run", pretrained, *data, "--out", out).exit_code == 0
    labels = load_file(out)["label"]
    assert sorted(labels.tolist()) == [-1] * (len(labels) - 2) + [0, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_another_data_set_is_brought_to_the_encoders_channels(pretrained, toy_pretrain, tmp_path, mae):
    write_mnist(tmp_path / "mnist", 60, 10)
    digits = ("--dataset", "mnist", "--root", tmp_path / "mnist")
    out = tmp_path / "digits.safetensors"
    outcome = mae("embed", "--run", pretrained, *digits, "--split", "test", "--out", out, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["shape"] == [10, 16]
    assert load_file(out)["label"].tolist() == list(range(10))
    grey = tmp_path / "grey"
    assert mae(*toy_pretrain, *digits, "--out", grey, "--epochs", 1).exit_code == 0
    refused = mae("embed", "--run", grey, "--dataset", "folder", "--root", _colour(tmp_path))
    assert refused.exit_code == 3
    assert "folder has 3 channels, and the encoder of " in refused.stderr
    assert "takes 1; only one channel can be copied to more\n" in refused.stderr


def _colour(tmp_path):
    write_pictures(tmp_path / "colour", 5)
    return tmp_path / "colour"


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_the_decoder_need_not_be_there(pretrained, tmp_path, mae):
    run = shutil.copytree(pretrained, tmp_path / "run")
    file = run / "checkpoints/step-000008/model.safetensors"

    def leave_the_encoder(tensors):
        for name in [name for name in tensors if not name.startswith("encoder.")]:
            del tensors[name]

    rewrite(file, change_tensors=leave_the_encoder)
    write_pictures(tmp_path / "in", 2)
    arguments = ("--out", tmp_path / "features.npy", "--workers", 0)
    assert mae("embed", tmp_path / "in", "--run", run, *arguments).exit_code == 0
    np.testing.assert_array_equal(read(tmp_path / "features.npy"), _embedded(mae, pretrained, tmp_path))
    assert mae("eval", run, "--probe", "knn").exit_code == 0


def _embedded(mae, run, tmp_path):
    out = tmp_path / "whole.npy"
    assert mae("embed", tmp_path / "in", "--run", run, "--out", out, "--workers", 0).exit_code == 0
    return read(out)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_read_is_left_out_and_listed(pretrained, tmp_path, mae, workers):
    mixed = write_mixed_folder(tmp_path / "mixed", 40)
    out = tmp_path / "features.npy"
    outcome = mae("embed", tmp_path / "mixed", "--run", pretrained, "--out", out, "--workers", workers, "--json")
    assert outcome.exit_code == 3
    assert set(outcome.json["skipped"]) == mixed.broken.keys() | mixed.truncated.keys() | mixed.arrays.keys()
    skipped = tmp_path / "features.npy.skipped.csv"
    assert {row["path"]: row["reason"] for row in csv_rows(skipped)} == outcome.json["skipped"]
    assert f"files could not be read; {skipped} says why\n" in outcome.stderr
    assert [row["path"] for row in csv_rows(tmp_path / "features.npy.csv")] == sorted(mixed.readable)
    assert len(read(out)) == len(mixed.readable)
    write_pictures(tmp_path / "in", 1)
    again = mae("embed", tmp_path / "in", "--run", pretrained, "--out", out, "--overwrite", "--workers", 0)
    assert again.exit_code == 0
    assert not skipped.exists()


def test_when_nothing_can_be_read_the_reasons_are_told(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    for file in (tmp_path / "in").iterdir():
        file.write_bytes(b"")
    outcome = mae("embed", tmp_path / "in", "--run", pretrained, "--out", tmp_path / "f.npy", "--workers", 0)
    assert outcome.exit_code == 3
    assert outcome.stderr.endswith(
        "000.png: empty file\n001.png: empty file\nmae: none of the samples can be read, so there are no features\n"
    )
    assert not (tmp_path / "f.npy").exists()


def test_neither_batches_nor_neighbours_change_a_feature(pretrained, tmp_path, mae):
    names = write_pictures(tmp_path / "in", 7)
    found = {}
    for size in (1, 3, 64):
        out = tmp_path / f"{size}.npy"
        settings = ("--batch-size", size, "--workers", 0)
        assert mae("embed", tmp_path / "in", "--run", pretrained, "--out", out, *settings).exit_code == 0
        found[size] = read(out)
        np.testing.assert_allclose(found[size], found[1], atol=1e-5)
    alone = tmp_path / "alone.npy"
    assert mae("embed", tmp_path / "in" / names[4], "--run", pretrained, "--out", alone, "--workers", 0).exit_code == 0
    np.testing.assert_array_equal(read(alone)[0], found[1][4])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give either files or folders, or --dataset NAME: one of them is embedded"),
        (("in", "--dataset", "folder"), "give either files or folders, or --dataset NAME"),
        (
            ("--dataset", "folder", "--split", "tests"),
            "split 'tests' is none of train, val, test; did you mean 'test'?",
        ),
        (("in", "--tokens", "all"), "--tokens 'all' is none of mean, cls, patches"),
        (("in", "--format", "parquet"), "--format 'parquet' is none of safetensors, npy, csv"),
        (("in", "--out", "x.bin"), "--out x.bin ends in none of .safetensors, .npy, .csv; give --format"),
        (
            ("in", "--out", "x.npy", "--format", "csv"),
            "--out x.npy ends in .npy, and --format is csv; leave one of them",
        ),
        (
            ("in", "--tokens", "patches", "--format", "csv"),
            "--tokens patches gives a table per sample, and a row of CSV has no room for it; use npy",
        ),
        (("--dataset", "foldr"), "unknown dataset 'foldr'; did you mean 'folder'?"),
    ],
)
def test_what_contradicts_itself_is_refused(pretrained, tmp_path, mae, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "in", 1)
    outcome = mae("embed", "--run", pretrained, *arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"mae: {words}")


def test_files_are_replaced_only_if_asked_for(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    out = tmp_path / "features.npy"
    mine = tmp_path / "features.npy.csv"
    mine.write_text("mine")
    arguments = ("embed", tmp_path / "in", "--run", pretrained, "--out", out, "--workers", 0)
    for flag in ((), ("--overwrite",)):
        refused = mae(*arguments, *flag)
        assert refused.exit_code == 2
        assert refused.stderr == (
            f"mae: {mine} is there and was not written by mae embed, so it stays; use another --out\n"
        )
        assert mine.read_text() == "mine"
    assert not out.exists()
    mine.unlink()
    assert mae(*arguments).exit_code == 0
    refused = mae(*arguments)
    assert refused.stderr == f"mae: {out} is there already; use --overwrite to replace it, or another --out\n"
    assert mae(*arguments, "--overwrite").exit_code == 0
    (tmp_path / "folder.npy").mkdir()
    refused = mae(*arguments, "--out", tmp_path / "folder.npy", "--overwrite")
    assert refused.stderr == f"mae: {tmp_path / 'folder.npy'} is a folder; choose another --out\n"


def test_a_name_is_made_where_none_is_given(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 1)
    outcome = mae("embed", tmp_path / "in", "--run", pretrained, "--workers", 0)
    assert outcome.exit_code == 0
    out = tmp_path / "runs/embed-pretrained.safetensors"
    assert outcome.stdout.startswith(f"features 1 × 16: {out}\na row of names for each: {out}.csv\n")
    assert mae("embed", tmp_path / "in", "--run", pretrained, "--workers", 0, "--format", "csv").exit_code == 0
    assert (tmp_path / "runs/embed-pretrained.csv").exists()
