from __future__ import annotations

from pathlib import Path

import pytest

from maecli.errors import MaeError
from maecli.registry import registry
from maecli.run.directory import RunDirectory, Summary, data_called
from maecli.run.listing import find_runs, list_runs, newest_finished_run, newest_run, run_around

SPEC = {"verb": "finetune", "dataset": {"name": "d"}, "task": {"name": "t"}, "model": {"name": "m"}}
SUMMARY = {"verb": "finetune", "dataset": "d", "steps": 1, "seconds": 1.0, "device": "cpu", "precision": "", "init": ""}


def finished(path: Path, task: str, at: float) -> RunDirectory:
    run = RunDirectory(path)
    run.start(SPEC, overwrite=False)
    run.write_summary(Summary(**SUMMARY, task=task, finished_at=at))
    return run


def test_the_newest_finished_run_of_a_task_is_found_at_any_depth(tmp_path):
    for name, task, finished_at in (("a", "x", 1.0), ("b/c", "x", 3.0), ("d", "x", 2.0), ("e", "y", 4.0)):
        finished(tmp_path / name, task, finished_at)
    (tmp_path / "unfinished").mkdir()
    assert newest_finished_run("x", tmp_path).path == tmp_path / "b/c"


@pytest.mark.parametrize(("task", "verb"), [("classify", "finetune"), ("reconstruct", "pretrain")])
def test_without_a_finished_run_the_way_to_one_is_told(tmp_path, monkeypatch, task, verb):
    monkeypatch.setenv("MAE_RUNS", str(tmp_path / "runs"))
    with pytest.raises(MaeError) as caught:
        newest_run(task, registry(), print, "--run RUN")
    assert str(caught.value) == (
        f"no finished run of task {task!r} under {tmp_path / 'runs'}; train one with `mae {verb} --task {task}`, or "
        "name one with --run"
    )


def test_parts_of_a_run_are_listed_with_that_run_alone_and_never_taken_as_the_newest(tmp_path):
    whole = finished(tmp_path / "whole", "x", 1.0)
    for number, name in enumerate(("folds/fold-1", "compare-scratch")):
        finished(whole.path / name, "x", 2.0 + number)
    assert [run.path.name for run in find_runs(tmp_path)] == ["whole"]
    assert [entry.name for entry in list_runs(whole.path)] == ["whole", "folds/fold-1", "compare-scratch"]
    assert [entry.name for entry in list_runs(whole.path / "folds")] == ["fold-1"]
    assert newest_finished_run("x", tmp_path).path == whole.path


def test_a_run_around_another_is_told_from_a_folder_with_a_spec_of_a_person(tmp_path):
    (tmp_path / "spec.yaml").write_text("verb: finetune\ndataset: {name: d}\ntask: {name: t}\nmodel: {name: m}\n")
    whole = finished(tmp_path / "runs/whole", "x", 1.0)
    assert run_around(whole.path) is None
    around = run_around(whole.path / "folds/fold-1")
    assert around is not None
    assert around.path == whole.path.resolve()


@pytest.mark.parametrize(
    ("dataset", "led_to", "name"),
    [
        pytest.param({"name": "folder", "root": "pics"}, "", "pics", id="a-folder"),
        pytest.param({"name": "folder", "root": "."}, "/home/me/birds", "birds", id="where-it-led"),
        pytest.param({"name": "folder", "root": None}, "", "folder", id="not-said"),
        pytest.param({"name": "digits", "root": "pics"}, "", "digits", id="a-data-set"),
        pytest.param({"name": "gone", "root": "pics"}, "", "gone", id="not-installed"),
    ],
)
def test_data_are_called_as_the_data_set_or_as_the_folder_of_a_person(dataset, led_to, name):
    paths = [{"key": "init", "resolved": "/else"}, {"key": "dataset.root", "given": "x", "resolved": led_to}]
    assert data_called({"dataset": dataset, "paths": paths}, registry()) == name
