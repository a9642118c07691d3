"""The verbs on a table with a column to predict: pretrained, fine-tuned, measured, and run on new rows."""

from __future__ import annotations

import csv
import json
import re

import pytest
from write_data import write_table

RUN = (
    *("--batch-size", 16, "--epochs", 1, "--set", "train.warmup_epochs=0", "--set", "trackers=[jsonl]"),
    *("--set", "model.embed_dim=8", "--set", "model.depth=1", "--set", "model.num_heads=2", "--precision", "float32"),
    *("--workers", 0, "--device", "cpu"),
)
DECODER = ("--set", "task.decoder_embed_dim=8", "--set", "task.decoder_depth=1", "--set", "task.decoder_num_heads=2")


@pytest.fixture
def ran(mae, tmp_path):
    """Return a function that calls a verb on a table of houses, and returns the run directory and what was said."""
    path = write_table(tmp_path)

    def run(verb, name, *arguments):
        where = ("--dataset", "table", "--root", path, "--out", tmp_path / name)
        outcome = mae(verb, *where, *RUN, *arguments)
        assert outcome.exit_code == 0, outcome.stderr
        return tmp_path / name, outcome.stderr

    return run


def infer(mae, tmp_path, run, content):
    (tmp_path / "new.csv").write_text(content)
    outcome = mae("infer", tmp_path / "new.csv", "--run", run, "--device", "cpu", "--out", tmp_path / "made")
    assert outcome.exit_code == 0, outcome.stderr
    rows = list(csv.DictReader((tmp_path / "made" / "predictions.csv").read_text().splitlines()))
    return rows, outcome.stderr


def test_a_number_is_learnt_from_a_run_that_saw_its_column_and_told_of_new_rows(ran, mae, tmp_path):
    first, _ = ran("pretrain", "first", "--set", "task.name=reconstruct", *DECODER)
    run, said = ran(
        *("finetune", "second", "--task", "regress", "--init", first, "--set", "dataset.target=size"),
        *("--labels", "50%"),
    )
    assert "positions of 4 of 4 columns by name" in said
    assert "12 rows in which size is missing" in said
    chosen = re.search(r"labels  (\d+) of (\d+) training samples, chosen by seed 0", said)
    assert chosen
    assert int(chosen[1]) == round(int(chosen[2]) / 2)
    outcome = mae("eval", run, "--device", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    measured = json.loads((run / "evaluation" / "test.json").read_text())
    rmse = measured["metrics"][0]
    assert set(rmse["baselines"]) == {"mean of training", "median of training", "gradient-boosted trees"}
    assert [metric["name"] for metric in measured["metrics"]] == ["rmse", "mae", "r2"]
    rows, said = infer(mae, tmp_path, run, "rooms,street,garden,built\n3,park,yes,1950-01-01\n,moor,,1960-02-02\n")
    assert [row["path"] for row in rows] == ["new.csv#1", "new.csv#2"]
    assert all(20 < float(row["prediction"]) < 140 for row in rows)
    assert "1 cell holds a category that training did not have, and is missing to the model: street 1 ('moor')" in said


def test_classes_are_learnt_from_scratch(ran, mae, tmp_path):
    run, _ = ran("finetune", "run", "--task", "classify", "--set", "dataset.target=street")
    measured = json.loads((run / "evaluation" / "val.json").read_text())
    assert "gradient-boosted trees" in measured["metrics"][0]["baselines"]
    assert "scikit-learn" in " ".join(measured["notes"])
    rows, _ = infer(mae, tmp_path, run, "size,rooms,garden,built\n80,3,yes,1950-01-01\n")
    assert rows[0]["class"] in ("park", "quay", "ring, inner")


def test_a_column_that_is_not_named_is_asked_for(mae, tmp_path):
    outcome = mae("finetune", "--dataset", "table", "--root", write_table(tmp_path), "--task", "regress", *RUN)
    assert outcome.exit_code == 2
    assert "the column to predict is not named; give --set dataset.target=COLUMN" in outcome.stderr
