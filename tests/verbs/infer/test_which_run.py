"""Which run predicts."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from write_data import (
    write_pictures,
)


def test_a_task_alone_takes_its_newest_finished_run_and_says_which(finetuned, pretrained, tmp_path, mae):
    for name, source, finished_at in (("old", finetuned, 1.0), ("new", finetuned, 2.0), ("other", pretrained, 3.0)):
        run = shutil.copytree(source, tmp_path / "runs" / name)
        summary = json.loads((run / "summary.json").read_text()) | {"finished_at": finished_at}
        (run / "summary.json").write_text(json.dumps(summary))
    write_pictures(tmp_path / "in", 2)
    outcome = mae("infer", tmp_path / "in", "--task", "classify", "--workers", 0, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["run"] == str(tmp_path / "runs/new")
    assert f"using {tmp_path / 'runs/new'}, the newest finished run of task classify, trained on " in outcome.stderr
    assert re.search(r"trained on \S+ \(data set folder\)", outcome.stderr)
    assert outcome.json["out"] == str(tmp_path / "runs/infer-new")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "give --run RUN, or --task TASK to take the newest finished run of that task"),
        (("--task", "clasify"), 2, "unknown task 'clasify'; did you mean 'classify'?; installed: classify"),
        (("--task", "classify"), 1, "no finished run of task 'classify' under "),
    ],
)
def test_without_a_run_the_way_to_one_is_told(tmp_path, mae, arguments, code, words):
    write_pictures(tmp_path / "in", 1)
    outcome = mae("infer", tmp_path / "in", *arguments)
    assert outcome.exit_code == code
    assert words in outcome.stderr


def test_what_is_no_run_is_refused(tmp_path, mae):
    write_pictures(tmp_path / "in", 1)
    outcome = mae("infer", tmp_path / "in", "--run", tmp_path / "in")
    assert outcome.exit_code == 2
    assert "is neither a run directory nor a checkpoint" in outcome.stderr


def test_a_run_of_another_task_is_refused(finetuned, pictures, mae):
    outcome = mae("infer", pictures, "--run", finetuned, "--task", "reconstruct")
    assert outcome.exit_code == 2
    assert f"{finetuned} was trained for task 'classify', not 'reconstruct'" in outcome.stderr


def test_a_file_is_not_said_to_be_filled_in_by_a_task_that_fills_none(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 1)
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--mark")
    assert outcome.exit_code == 2
    assert "--mark is for tasks that fill files in, and classify does not; leave it out" in outcome.stderr
