"""Nothing that a run passes on says whose home its data were in; on that machine everything is found all the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from maecli.run.directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture
def home(pictures, tmp_path, monkeypatch) -> Path:
    home = tmp_path / "anna"
    shutil.copytree(pictures, home / "pics")
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def run(home, mae, toy_finetune) -> Path:
    run = home / "runs/one"
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", home / "pics", "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    return run


def test_checkpoints_results_pages_and_features_name_no_home(run, home, mae, tmp_path):
    assert mae("eval", run).exit_code == 0
    features = tmp_path / "features.safetensors"
    assert mae("embed", home / "pics", "--run", run, "--out", features, "--format", "safetensors").exit_code == 0
    files = [*run.rglob("*.safetensors"), run / "report.html", *run.rglob("evaluation/*.json"), features]
    assert len(files) >= 5
    for file in files:
        assert str(home).encode() not in file.read_bytes(), file
    card = RunDirectory(run).checkpoints.current("last").metadata()["card"]
    assert (card["title"], card["source"]) == ("folder pics", "your own files in pics")
    assert str(home) not in mae("inspect", run, "--json").stdout.replace(json.dumps(str(home))[1:-1] + "/runs", "")


def test_a_run_in_a_home_goes_on_and_is_measured(run, mae, home, monkeypatch):
    assert yaml.safe_load((run / "spec.yaml").read_text())["dataset"]["root"] == str(home / "pics")
    assert mae("finetune", "--resume", "--out", run).exit_code == 0
    monkeypatch.setenv("HOME", "/nowhere")  # somebody else, on the same machine
    assert mae("eval", run).exit_code == 0
    checkpoint = RunDirectory(run).checkpoints.current("last").path
    outcome = mae("finetune", "--init", checkpoint, "--task", "classify", "--batch-size", 8, "--dry-run")
    assert outcome.exit_code == 0, outcome.stderr


def test_a_root_that_is_changed_in_the_spec_of_a_run_counts(run, mae, home):
    (home / "pics").rename(home / "moved")
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    spec["dataset"]["root"] = str(home / "moved")
    (run / "spec.yaml").write_text(yaml.safe_dump(spec))
    assert mae("eval", run).exit_code == 0
