"""A run may be measured on other data than its own, when it is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from write_data import noise, write_class_folders, write_picture

from maecli.registry import registry
from maecli.run.directory import RunDirectory
from maecli.verbs.results import make_records

pytestmark = pytest.mark.slow


@pytest.fixture
def data(pictures, tmp_path) -> Path:
    return shutil.copytree(pictures, tmp_path / "pictures")


@pytest.fixture
def trained(finetuned, tmp_path, data, mae) -> Path:
    run = shutil.copytree(finetuned, tmp_path / "finetuned")
    assert mae("eval", run, "--root", data).exit_code == 0
    return run


def results(run: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (run / "evaluation").glob("*.json")}


def first_of_test(run: Path) -> str:
    lines = (run / "splits.csv").read_text().splitlines()
    return next(line.split(",")[0] for line in lines if line.endswith("test"))


def test_a_copy_of_the_data_is_the_data(trained, mae, tmp_path, data):
    before = results(trained)
    assert set(before) == {"test.json", "val.json"}
    outcome = mae("eval", trained, "--root", shutil.copytree(data, tmp_path / "copy"))
    assert "not the data" not in outcome.stderr
    assert results(trained) == before


def test_other_data_are_told_and_have_a_result_of_their_own(trained, mae, tmp_path):
    before = results(trained)
    rng = np.random.default_rng(3)
    for name in ("cat", "dog"):
        for i in range(10):
            path = tmp_path / f"other/{name}/new-{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(path)
    outcome = mae("eval", trained, "--root", tmp_path / "other")
    assert outcome.exit_code == 0, outcome.stderr
    sentence = "these are not the data that the run began with: its train split has other samples now (16 of them)"
    assert sentence in outcome.stderr
    after = results(trained)
    assert {name: after[name] for name in before} == before
    (name,) = after.keys() - before.keys()
    assert name.startswith("test-on-other-")
    record = json.loads(after[name])
    assert (record["data"]["folder"], record["data"]["samples"], record["num_samples"]) == ("other", 2, 2)
    assert record["data"]["reading"].startswith("20 pictures")
    page = (trained / "report.html").read_text()
    assert "Test (2 pictures) of other data, in other" in page
    assert RunDirectory(trained).evaluation("test").data is None
    assert str(tmp_path) not in after[name]
    mae("eval", trained, "--root", tmp_path / "other", "--probe", "knn")
    assert any(one.startswith("probe-knn-test-on-other-") for one in results(trained))
    assert [record.probe for record in make_records(RunDirectory(trained), registry())] == [""]


def test_other_data_whose_files_have_the_same_names_keep_their_own_splits(trained, mae, tmp_path):
    write_class_folders(tmp_path / "twin")
    for i, path in enumerate(sorted((tmp_path / "twin").glob("*/*.png"))):
        write_picture(path, noise(1000 + i, 8, 8, 3))
    write_picture(tmp_path / "twin/cat/one-more.png", noise(1, 8, 8, 3))
    outcome = mae("eval", trained, "--root", tmp_path / "twin")
    assert "these are not the data that the run began with" in outcome.stderr
    assert "the run keeps the splits" not in outcome.stderr


def test_changed_content_in_the_same_folder_is_told(trained, mae, data):
    key = next(
        line.split(",")[0] for line in (trained / "splits.csv").read_text().splitlines() if line.endswith("test")
    )
    write_picture(data / key, noise(77, 8, 8, 3))
    outcome = mae("eval", trained, "--root", data)
    assert f"not the data that the run began with: {key} (test) has other content than when" in outcome.stderr
    assert any(name.startswith("test-on-pictures-") for name in results(trained))


def test_a_sample_that_is_gone_makes_other_data(trained, mae, data):
    key = next(
        line.split(",")[0] for line in (trained / "splits.csv").read_text().splitlines() if line.endswith("test")
    )
    (data / key).unlink()
    outcome = mae("eval", trained, "--root", data)
    assert f"are left out: 1 of test ({key})" in outcome.stderr
    assert f"its test split has other samples now (3 of them) than when the run began: {key} is gone" in outcome.stderr


def test_a_run_without_fingerprints_is_measured_as_before(trained, mae, tmp_path, monkeypatch):
    monkeypatch.setattr("maecli.training.checkpoint.Checkpoint.metadata", _without_samples())
    write_class_folders(tmp_path / "other")
    assert "not the data" not in mae("eval", trained, "--root", tmp_path / "other").stderr


def _without_samples():
    from maecli.training.checkpoint import Checkpoint

    metadata = Checkpoint.metadata
    return lambda self, *args: {key: value for key, value in metadata(self, *args).items() if key != "samples"}
