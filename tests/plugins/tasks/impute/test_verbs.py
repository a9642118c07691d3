"""The verbs on a person's table with holes: pretrained by default for filling in, measured, run on files."""

from __future__ import annotations

import json

import pytest
from write_data import write_table

from maecli.registry import registry
from maecli.spec.ask import Ask
from maecli.spec.resolve import resolve

RUN = (
    *(
        "--batch-size",
        16,
        "--epochs",
        1,
        "--set",
        "train.max_steps=3",
        "--set",
        "train.warmup_epochs=0",
        "--workers",
        0,
    ),
    *("--set", "trackers=[jsonl]", "--precision", "float32", "--device", "cpu"),
)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Return a table and a run on it of three steps. Not to be changed."""
    from conftest import call

    root = tmp_path_factory.mktemp("impute")
    path = write_table(root)
    outcome = call("pretrain", "--dataset", "table", "--root", path, "--out", root / "run", *RUN)
    assert outcome.exit_code == 0, outcome.stderr
    return path, root / "run"


def test_rows_are_pretrained_for_filling_in_unless_a_person_names_another_task():
    for name in ("table", "california"):
        spec = resolve(Ask("pretrain", flags={"dataset.name": name}), registry())
        assert spec.task.name == "impute"
        assert spec.task.options["decoder_embed_dim"] == 64
        spec = resolve(Ask("pretrain", flags={"dataset.name": name, "task.name": "reconstruct"}), registry())
        assert spec.task.options["decoder_embed_dim"] == 64  # of the same recipe's section for that task
    assert resolve(Ask("pretrain", flags={"dataset.name": "digits"}), registry()).task.name == "reconstruct"


def test_a_run_is_measured_on_hidden_cells_beside_other_imputers(pretrained, mae):
    _, run = pretrained
    outcome = mae("eval", run, "--device", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    measured = json.loads((run / "evaluation" / "test.json").read_text())
    metrics = {metric["name"]: metric for metric in measured["metrics"]}
    assert set(metrics) == {"rmse", "mae", "accuracy", "wasserstein"}
    assert set(metrics["rmse"]["baselines"]) == {"mean or most frequent", "10 nearest rows", "iterative regression"}
    assert "hidden with a chance of 20% (MCAR)" in " ".join(measured["notes"])
