from __future__ import annotations

import json
import shutil

import pytest
import torch
from written import rows_of

from maecli.run.checkpoint import find_checkpoint


@pytest.fixture
def inferred(finetuned, pictures, tmp_path, mae):
    """Return a function that infers from a run or checkpoint, and gives what was said and the rows."""

    def infer(run, *arguments):
        out = tmp_path / "out"
        outcome = mae(
            *("infer", pictures, "--run", run, "--out", out, "--workers", 0, "--overwrite", "--device", "cpu"),
            *arguments,
        )
        assert outcome.exit_code == 0, outcome.stderr
        return outcome, rows_of(out)

    return infer


def test_the_last_and_the_best_checkpoint_are_calibrated(finetuned):
    for pointer in ("last", "best"):
        kept = find_checkpoint(finetuned, pointer).calibration()
        assert 0.1 <= float(kept["temperature"]) <= 10
        assert int(kept["samples"]) == len(kept["familiarity.scores"]) == 4
        assert all(torch.isfinite(tensor).all() for tensor in kept.values())


def test_a_task_that_learns_nothing_of_its_outputs_keeps_nothing(pretrained):
    assert find_checkpoint(pretrained).calibration() == {}


def test_a_copied_checkpoint_marks_the_same_samples(finetuned, tmp_path, inferred):
    copied = tmp_path / "copied"
    shutil.copytree(find_checkpoint(finetuned).path, copied)
    outcome, rows = inferred(finetuned, "--unsure-share", "0.4")
    marked = sum(row["unsure"] == "true" for row in rows)
    assert {row["unsure"] for row in rows} <= {"true", "false"}
    assert f"{marked} of 40 {'is' if marked == 1 else 'are'} unsure: like none of the classes" in outcome.stdout
    assert "Unsure is what is less like the classes than nearly all of these" in outcome.stderr
    told, others = inferred(copied, "--unsure-share", "0.4", "--json")
    assert others == rows
    assert told.json["unsure"] == marked
    assert [row["unsure"] for row in told.json["predictions"]] == [row["unsure"] == "true" for row in rows]
    assert json.loads((tmp_path / "out/infer.json").read_text())["unsure"] == marked


def test_too_few_validation_samples_are_told_and_mark_nothing(finetuned, inferred):
    outcome, rows = inferred(finetuned)
    assert "like none of the classes, at a cost of 5%, they are too few" in outcome.stderr
    assert "unsure" not in rows[0]
    assert "unsure" not in outcome.stdout


def test_a_run_without_a_calibration_still_infers_and_says_so(finetuned, tmp_path, inferred):
    older = tmp_path / "older"
    shutil.copytree(find_checkpoint(finetuned).path, older)
    (older / "calibration.safetensors").unlink()
    outcome, rows = inferred(older, "--unsure-share", "0.4")
    assert "this run has no calibration" in outcome.stderr
    assert "unsure" not in rows[0]
    assert "no calibration" not in inferred(older, "--unsure-share", "0")[0].stderr


def test_what_calibration_does_is_measured_beside_the_accuracy(finetuned):
    record = json.loads((finetuned / "evaluation/val.json").read_text())
    metrics = {metric["name"]: metric for metric in record["metrics"]}
    assert metrics["calibration_error"]["baselines"].keys() <= {"not calibrated"}
    assert any(note.startswith("Probabilities are calibrated on 4 validation pictures") for note in record["notes"])
