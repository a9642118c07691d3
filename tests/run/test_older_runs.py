"""Runs that an earlier mae made, kept as it wrote them: what was recorded then is read now.

Both are of the digits that come with scikit-learn, 4 steps of a transformer of 1 block, 8 wide.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

OLDER = Path(__file__).with_name("older_runs")


@pytest.fixture
def older(tmp_path):
    """The runs in a folder of their own, which may be written to."""
    return Path(shutil.copytree(OLDER, tmp_path / "older"))


def numbers(value):
    """All numbers of a JSON value, in order; what they are called may have changed."""
    if isinstance(value, dict):
        return numbers(list(value.values()))
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, (int, float)) else []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretrain-digits", "finetune-digits"])
def test_evaluating_it_again_finds_what_it_found(mae, older, name):
    file = older / name / "evaluation/val.json"
    recorded = numbers(json.loads(file.read_text()))
    assert mae("eval", older / name, "--split", "val", "--device", "cpu", "--precision", "float32").exit_code == 0
    assert numbers(json.loads(file.read_text())) == pytest.approx(recorded, rel=1e-4)


@pytest.mark.slow
def test_the_listing_and_the_comparison_read_it(mae, older):
    listed = {entry["name"] for entry in mae("runs", older, "--json").json["runs"]}
    assert listed == {"pretrain-digits", "finetune-digits"}
    assert mae("runs", older / "pretrain-digits", older / "finetune-digits").exit_code == 0


@pytest.mark.slow
def test_it_is_where_another_run_starts(mae, older, tmp_path):
    args = ("--dataset", "digits", "--task", "classify", "--init", older / "pretrain-digits")
    short = ("--set", "train.max_steps=1", "--device", "cpu", "--workers", "0", "--set", "train.warmup_epochs=0")
    assert mae("finetune", *args, *short, "--out", tmp_path / "new").exit_code == 0


@pytest.mark.slow
def test_its_spec_file_repeats_it_and_resuming_it_ends_at_once(mae, older, tmp_path):
    spec = older / "pretrain-digits/spec.yaml"
    assert mae("pretrain", "--config", spec, "--out", tmp_path / "again").exit_code == 0
    assert mae("pretrain", "--config", spec, "--out", older / "pretrain-digits", "--resume").exit_code == 0
