"""Earlier predictions stay until new ones are complete, and what is none of them stays."""

from __future__ import annotations

import os
import shutil

import pytest
from write_data import (
    write_pictures,
)
from written import contents, rows_of

from maecli.loading.streamed import StreamedLoader
from maecli.run.inference import answers
from maecli.storage.ledger import Ledger
from maecli.training.task import Prediction


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

    def some(self, batch_size, limit=None, part=(0, 1)):
        yield next(batches(self, batch_size, limit, part))
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

    monkeypatch.setattr(answers, "predict", predict)
    with pytest.raises(ValueError, match="no ink left"):
        mae(*arguments)
    assert contents(out) == before
    assert not list(tmp_path.glob(".*.tmp"))


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


def test_outputs_that_hold_one_of_several_inputs_stay(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 2)
    arguments = ("--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--overwrite")
    assert mae("infer", tmp_path / "in", *arguments).exit_code == 0
    outcome = mae("infer", tmp_path / "in", tmp_path / "out/predictions.png", *arguments)
    assert outcome.exit_code == 2
    assert f"the input {tmp_path / 'out'} lies in --out {tmp_path / 'out'}, which would be replaced" in outcome.stderr
