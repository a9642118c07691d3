"""The verbs on a person's table with holes: pretrained by default for filling in, measured, run on files."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from write_data import write_table

from maecli.registry import registry
from maecli.run.directory import RunDirectory
from maecli.run.report import next_commands
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


def test_after_pretraining_filling_in_comes_next(pretrained):
    _, run = pretrained
    steps = [(command.split()[1], does) for command, does in next_commands(RunDirectory(run), registry())]
    others = [step for step in steps if step[0] != "eval"]
    assert others[0] == ("infer", "fill in what is missing in your own files")
    assert [verb for verb, _ in others].count("infer") == 1


def test_the_newest_run_of_the_task_is_measured_where_none_is_named(pretrained, mae, tmp_path):
    _, run = pretrained
    shutil.copytree(run, tmp_path / "runs/copy")
    outcome = mae("eval", "--task", "impute", "--split", "val", "--device", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["run"] == str(tmp_path / "runs/copy")
    assert f"using {tmp_path / 'runs/copy'}, the newest finished run of task impute" in outcome.stderr
    assert "give RUN, or --task TASK to take the newest" in mae("eval").stderr
    assert "names the run, whose task is its own; leave --task out" in mae("eval", run, "--task", "impute").stderr


def test_a_file_is_handed_back_filled_in_and_all_that_was_there_is_as_it_was(pretrained, mae, tmp_path):
    path, run = pretrained
    outcome = mae("infer", path, "--run", run, "--out", tmp_path / "out", "--device", "cpu", "--mark", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    made = tmp_path / "out/files/houses.csv"
    assert outcome.json["handed_back"] == [str(made)]
    assert {path.name for path in made.parent.iterdir()} == {"houses.csv", "houses.csv.mark.csv"}
    before, after = path.read_text().splitlines(), made.read_text().splitlines()
    marks = (made.parent / "houses.csv.mark.csv").read_text().splitlines()
    assert before[0] == after[0] == marks[0]
    num = 0
    for old, new, mark in zip(before[1:], after[1:], marks[1:], strict=True):
        cells = [next(csv.reader([line])) for line in (old, new, mark)]
        for name, was, is_now, filled in zip(before[0].split(","), *cells, strict=True):
            missing = was in ("", "NA") and name in ("size", "garden")
            assert filled == str(int(missing))
            assert (is_now != "" and is_now != "NA") if missing else was == is_now
            num += missing
            if missing and name == "garden":
                assert is_now in ("yes", "no")
            if missing and name == "size":
                assert len(is_now.partition(".")[2]) == 2
    assert f"{num} missing cells of houses.csv filled in: size 12, garden 20" in outcome.stderr
    assert "the column 'empty' holds nothing, and is kept as it is" in outcome.stderr


def test_before_that_it_is_told_how_well_hidden_cells_of_the_file_are_filled_in(pretrained, mae, tmp_path):
    path, run = pretrained
    new = tmp_path / "new.csv"
    lines = path.read_text().splitlines()
    new.write_text("\n".join([lines[0], *lines[1:] * 3]))
    outcome = mae("infer", new, "--task", "impute", "--run", run, "--out", tmp_path / "out", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    assert "tried on 180 rows of yours first\n" in outcome.stderr
    assert "RMSE of hidden cells (10% of those that are there), z-scored: " in outcome.stderr
    assert "not better here than " in outcome.stderr  # after three steps
    assert f"filled in: {tmp_path / 'out/files/new.csv'}" in outcome.stdout
    page = (tmp_path / "out/report.html").read_text()
    for part in ("missing cells of new.csv filled in: ", "Tried on 180 rows of yours first", "Not better here than "):
        assert part in page
    assert "see what came out" in outcome.stdout
    record = json.loads((tmp_path / "out/infer.json").read_text())["held_out"]
    assert set(record["metrics"][0]["baselines"]) == {"mean or most frequent", "10 nearest rows"}
    assert not record["learned_from"]
    outcome = mae("infer", path, "--run", run, "--out", tmp_path / "again", "--device", "cpu")
    assert "tried on 60 rows of yours first; the run learnt from some of them" in outcome.stderr


def test_a_single_row_is_filled_in_without_a_trial(pretrained, mae, tmp_path):
    path, run = pretrained
    (tmp_path / "one.csv").write_text("\n".join(path.read_text().splitlines()[:1]) + "\n,3.0,,quay,1950-01-01,x,\n")
    outcome = mae("infer", tmp_path / "one.csv", "--run", run, "--out", tmp_path / "out", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    size, rooms, garden, *_ = (tmp_path / "out/files/one.csv").read_text().splitlines()[1].split(",")
    assert (rooms, garden in ("yes", "no"), size.count(".")) == ("3.0", True, 1)
