"""What a run remembers of the packages whose plugins it used."""

from __future__ import annotations

import html
import importlib
import json
import shutil
import warnings
from pathlib import Path

import pytest
import yaml
from installed import dataset_package, look_again, write_package

import maecli
from maecli.errors import PluginError
from maecli.registry import Registry
from maecli.run.checkpoint import find_checkpoint
from maecli.run.plugins_used import Used, changes, missing, recorded_in

USED = {"kind": "dataset", "name": "birds", "package": "mae-birds", "version": "1.2"}
TO_INSTALL = "dataset 'birds' of mae-birds 1.2, which is not installed: pip install mae-birds==1.2"
OWLS = """
from maecli import api
from maecli.registry import Registry

class Owl(Registry().model("vit")):
    name = "owl"

class Rebuild(Registry().task("reconstruct")):
    name = "rebuild"

class Diary(Registry().tracker("jsonl")):
    name = "diary"

@api.hookimpl
def mae_models():
    return [Owl]

@api.hookimpl
def mae_tasks():
    return [Rebuild]

@api.hookimpl
def mae_trackers():
    return [Diary]
"""
OF_OWLS = {
    "model": ("--model", "owl"),
    "task": ("--set", "task.name=rebuild"),
    "tracker": ("--set", "trackers=[diary]"),
}


def lacking(kind: str) -> str:
    name = {"model": "owl", "task": "rebuild", "tracker": "diary"}[kind]
    return f"{kind} {name!r} of mae-owls 2.0, which is not installed: pip install mae-owls==2.0"


@pytest.fixture
def site(site):
    """Return a folder on the path that holds the packages mae-birds 1.2 and mae-owls 2.0."""
    dataset_package(site)
    points = {"model.owl": "mae_owls", "task.rebuild": "mae_owls", "tracker.diary": "mae_owls"}
    write_package(site, "mae-owls", points, "2.0", mae_owls=OWLS)
    look_again()
    return site


@pytest.fixture
def run_with(site, mae, toy_pretrain, pictures, tmp_path):
    """Return a function that makes a run which uses the plugin of one kind of mae-owls."""

    def make(kind: str) -> Path:
        out = tmp_path / "runs/owls"
        dataset = ("--dataset", "folder", "--root", pictures, "--img-size", 8, "--epochs", 1)
        outcome = mae(*toy_pretrain, *dataset, *OF_OWLS[kind], "--out", out)
        assert outcome.exit_code == 0, outcome.stderr
        return out

    return make


@pytest.fixture
def uninstall(site):
    """Return a function that takes the packages away."""

    def gone() -> None:
        shutil.rmtree(site)
        look_again()

    return gone


@pytest.fixture
def run(site, mae, toy_pretrain, tmp_path):
    """Return a finished run on that package's data."""
    out = tmp_path / "run"
    outcome = mae(*toy_pretrain, "--dataset", "birds", "--img-size", 8, "--epochs", 1, "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    return out


@pytest.mark.slow
def test_spec_checkpoint_and_environment_record_packages_and_versions(run):
    assert yaml.safe_load((run / "spec.yaml").read_text())["plugins"] == ["dataset.birds from mae-birds 1.2"]
    metadata = find_checkpoint(run).metadata()
    assert metadata["spec"]["plugins"] == ["dataset.birds from mae-birds 1.2"]
    assert USED in metadata["plugins"]
    assert {each["kind"] for each in metadata["plugins"]} == {"dataset", "task", "model", "tracker"}
    assert json.loads((run / "environment.json").read_text())["plugins"] == metadata["plugins"]


def test_a_run_of_built_in_plugins_alone_names_none_in_its_spec(pretrained):
    assert yaml.safe_load((pretrained / "spec.yaml").read_text())["plugins"] == []


@pytest.mark.slow
def test_every_verb_names_the_package_that_a_run_lacks(run, uninstall, mae, tmp_path, pictures):
    uninstall()
    checkpoint = find_checkpoint(run).path
    spec = run / "spec.yaml"
    for source, arguments in (
        (checkpoint, ("eval", run)),
        (checkpoint, ("eval", run, "--probe", "knn")),
        (checkpoint, ("infer", pictures, "--run", run)),
        (checkpoint, ("embed", pictures, "--run", run)),
        (run, ("finetune", "--task", "classify", "--init", run)),
        (run, ("pretrain", "--resume", "--out", run)),
        (spec, ("pretrain", "--config", spec, "--out", tmp_path / "again")),
    ):
        outcome = mae(*arguments)
        assert (outcome.exit_code, outcome.stderr) == (4, f"mae: {source} was made with {TO_INSTALL}\n"), arguments
    with pytest.raises(PluginError, match=r"pip install mae-birds==1\.2$"):
        maecli.load_encoder(run)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "task"])
def test_a_model_and_a_task_that_a_run_lacks_are_named(run_with, uninstall, mae, pictures, kind):
    run = run_with(kind)
    uninstall()
    checkpoint = find_checkpoint(run).path
    task = "rebuild" if kind == "task" else "reconstruct"
    for source, arguments in (
        (checkpoint, ("eval", run)),
        (checkpoint, ("infer", pictures, "--run", run)),
        (checkpoint, ("infer", pictures, "--task", task, "--quiet")),
        (run, ("pretrain", "--resume", "--out", run)),
        (run, ("runs", run, run)),
    ):
        outcome = mae(*arguments)
        assert (outcome.exit_code, outcome.stderr) == (4, f"mae: {source} was made with {lacking(kind)}\n"), arguments


@pytest.mark.slow
def test_a_tracker_that_is_lacking_stops_what_would_log_to_it_and_nothing_else(run_with, uninstall, mae, pictures):
    run = run_with("tracker")
    page = run / "report.html"
    left_out = f"what tracker 'diary' kept is left out: {run} was made with {lacking('tracker')}"
    assert left_out not in html.unescape(page.read_text())
    uninstall()
    for arguments in (("eval", run), ("infer", pictures, "--run", run), ("embed", pictures, "--run", run)):
        outcome = mae(*arguments)
        assert outcome.exit_code == 0, outcome.stderr
    assert left_out in html.unescape(page.read_text())
    assert left_out in mae("runs", run, run).stderr
    resumed = mae("pretrain", "--resume", "--out", run)
    assert (resumed.exit_code, resumed.stderr) == (4, f"mae: {run} was made with {lacking('tracker')}\n")


@pytest.mark.slow
def test_a_tracker_that_is_broken_leaves_the_report_without_its_curves(run_with, site, mae):
    run = run_with("tracker")
    (site / "mae_owls.py").write_text("1 / 0")
    look_again()
    outcome = mae("eval", run)
    assert outcome.exit_code == 0, outcome.stderr
    words = "mae-owls 2.0: tracker 'diary' cannot be imported: ZeroDivisionError: division by zero"
    page = html.unescape((run / "report.html").read_text())
    assert f"what tracker 'diary' kept is left out: {words}" in page


def test_a_package_that_no_longer_offers_a_plugin_is_not_said_to_be_missing(site):
    write_package(site, "mae-birds", {"dataset.gulls": "mae_birds"}, "2.0")
    look_again()
    now = "mae-birds 2.0 is installed and no longer offers it"
    assert missing({"plugins": [USED]}, Registry()) == [
        f"dataset 'birds' of mae-birds 1.2; {now}: pip install mae-birds==1.2",
    ]


@pytest.mark.slow
def test_inspect_works_without_the_package_and_names_it(run, uninstall, mae):
    uninstall()
    outcome = mae("inspect", run)
    assert outcome.exit_code == 0
    words = " ".join(outcome.stdout.split())
    assert f"made with {TO_INSTALL}" in words
    assert "plugin dataset birds, of mae-birds 1.2" in words


@pytest.mark.slow
def test_init_needs_only_what_it_takes_from_the_run(run, uninstall, mae, pictures, toy_finetune, tmp_path):
    uninstall()
    dataset = ("--dataset", "folder", "--root", pictures, "--img-size", 8, "--set", "data.channels=1")
    outcome = mae(*toy_finetune, *dataset, "--init", run, "--dry-run", "--set", "data.channels=null")
    assert "pip install" not in outcome.stderr


@pytest.mark.slow
def test_another_version_is_mentioned_in_one_line_and_stops_nothing(run, site, mae, pictures):
    dataset_package(site, version="1.3")
    look_again()
    checkpoint = find_checkpoint(run).path
    line = f"mae-birds is 1.3 now, and was 1.2 for {checkpoint}"
    evaluated = mae("eval", run)
    assert evaluated.exit_code == 0, evaluated.stderr
    assert evaluated.stderr.splitlines().count(line) == 1
    assert line in mae("embed", "--dataset", "birds", "--run", run).stderr.splitlines()
    inspected = " ".join(mae("inspect", run).stdout.split())
    assert "mae-birds is 1.3 now, and was 1.2 for this checkpoint" in inspected
    with pytest.warns(UserWarning, match=r"^mae-birds is 1\.3 now, and was 1\.2 for "):
        maecli.load_encoder(run)
    resumed = mae("pretrain", "--resume", "--out", run)
    assert resumed.exit_code == 0, resumed.stderr
    assert f"mae-birds is 1.3 now, and was 1.2 for {run}" in resumed.stderr.splitlines()
    assert yaml.safe_load((run / "spec.yaml").read_text())["plugins"] == ["dataset.birds from mae-birds 1.3"]


@pytest.mark.slow
def test_the_same_version_is_not_mentioned(run, mae):
    outcome = mae("eval", run)
    assert outcome.exit_code == 0
    assert "mae-birds" not in outcome.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maecli.load_encoder(run)


def test_a_name_that_comes_from_another_package_now_is_mentioned(site):
    was = {**USED, "package": "mae-aves", "version": "3"}
    assert changes({"plugins": [was]}, Registry(), "the run") == [
        "dataset 'birds' came from mae-aves 3 for the run, and now from mae-birds 1.2"
    ]
    assert missing({"plugins": [was]}, Registry()) == []


def test_records_of_before_the_memory_name_nothing():
    assert recorded_in({}) == []
    assert recorded_in({"plugins": None}) == []
    assert recorded_in({"plugins": ["dataset.birds from mae-birds 1.2", "nonsense"]}) == [Used(**USED)]
    assert recorded_in({"plugins": [USED, {**USED, "package": "maecli"}]}) == [Used(**USED)]
    importlib.invalidate_caches()
