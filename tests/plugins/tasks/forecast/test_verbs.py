"""The verbs on windows of a series: pretrained, probed, fine-tuned, measured, from the command line."""

from __future__ import annotations

import json

import pytest
from write_data import write_ett

from maecli.registry import registry
from maecli.run.directory import RunDirectory
from maecli.run.report import next_commands

DATA = ("--set", "dataset.lookback=16", "--set", "dataset.horizon=4", "--workers", 0, "--device", "cpu")
RUN = (
    *("--batch-size", 8, "--epochs", 1, "--set", "train.max_steps=3", "--set", "train.warmup_epochs=0"),
    *("--set", "trackers=[jsonl]", "--set", "eval_every_epochs=100", "--precision", "float32"),
)
VIT = (
    *("--model", "vit", "--patch-size", 4, "--set", "model.embed_dim=8", "--set", "model.depth=1"),
    *("--set", "model.num_heads=2", "--set", "model.per_channel=true"),
)
DECODER = ("--set", "task.decoder_embed_dim=8", "--set", "task.decoder_depth=1", "--set", "task.decoder_num_heads=2")


@pytest.fixture
def ran(mae, tmp_path):
    """Return a function that calls a verb on a twin of ETTh1 and returns the run directory."""
    write_ett(tmp_path / "ett")

    def run(verb, name, *arguments):
        where = ("--dataset", "ett", "--root", tmp_path / "ett", "--out", tmp_path / name)
        outcome = mae(verb, *where, *DATA, *RUN, *arguments)
        assert outcome.exit_code == 0, outcome.stderr
        run.told = outcome.stderr
        return tmp_path / name

    return run


def test_a_pretrained_encoder_is_probed_and_measured_beside_trivial_forecasts(ran, mae):
    pretrained = ran("pretrain", "pretrained", *VIT, *DECODER, "--set", "task.norm=revin", "--mask-ratio", 0.5)
    offered = [command for command, _ in next_commands(RunDirectory(pretrained), registry()) if " finetune " in command]
    assert [command.partition("--task ")[2].split()[0] for command in offered] == ["forecast"], "it has no label"
    probe = ("--task", "forecast", "--init", pretrained, "--freeze", "--set", "task.norm=last")
    probed = ran("finetune", "probed", *probe)
    assert "the features of the frozen encoder were computed once" in ran.told
    outcome = mae("eval", probed, "--device", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    measured = json.loads((probed / "evaluation" / "test.json").read_text())
    assert measured["num_samples"] == 2_877
    mse = measured["metrics"][0]
    assert set(mse["baselines"]) == {"persistence", "mean of training"}  # a day is longer than the window
    assert {table["title"] for table in measured["tables"]} == {"Per column", "Per step ahead"}


def test_a_linear_model_is_trained_by_the_same_verb(ran):
    run = ran("finetune", "nlinear", "--task", "forecast", "--model", "nlinear", "--set", "dataset.target=OT")
    assert (run / "report.html").is_file()


def test_the_next_steps_of_a_file_are_written_with_their_times(ran, mae, tmp_path):
    run = ran(
        "finetune", "nlinear", "--task", "forecast", "--model", "nlinear", "--set", "task.quantiles=[0.1,0.5,0.9]"
    )
    lines = (tmp_path / "ett" / "ETTh1.csv").read_text().splitlines()[:101]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    outcome = mae("infer", tmp_path / "own.csv", "--run", run, "--device", "cpu", "--out", tmp_path / "next")
    assert outcome.exit_code == 0, outcome.stderr
    files = tmp_path / "next" / "files"
    names = sorted(path.name for path in files.iterdir())
    assert names == [f"own.csv.forecast{end}" for end in (".csv", ".png", ".q0.1.csv", ".q0.9.csv")]
    rows = [line.split(",") for line in (files / "own.csv.forecast.csv").read_text().splitlines()]
    assert rows[0] == lines[0].split(",")
    assert [row[0] for row in rows[1:]] == [f"2016-07-05 0{hour}:00:00" for hour in (4, 5, 6, 7)]
    last = [float(cell) for cell in lines[-1].split(",")[1:]]
    assert [float(cell) for cell in rows[1][1:]] == pytest.approx(last, rel=0.5)  # it begins with the last value
