"""What a run remembers of the packages whose plugins it used."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import warnings

import pytest
import yaml
from installed import dataset_package, look_again

import maecli
from maecli.errors import PluginError
from maecli.registry import Registry
from maecli.runs.directory import find_checkpoint
from maecli.runs.plugins import changes, missing, recorded_in

USED = {"kind": "dataset", "name": "birds", "package": "mae-birds", "version": "1.2"}
TO_INSTALL = "dataset 'birds' of mae-birds 1.2, which is not installed: pip install mae-birds==1.2"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a folder on the path that holds the package mae-birds 1.2."""
    folder = tmp_path / "site"
    dataset_package(folder)
    monkeypatch.syspath_prepend(str(folder))
    look_again()
    yield folder
    sys.modules.pop("mae_birds", None)
    look_again()


@pytest.fixture
def uninstall(site):
    """Return a function that takes the package away."""

    def gone() -> None:
        shutil.rmtree(site)
        sys.modules.pop("mae_birds", None)
        look_again()

    return gone


@pytest.fixture
def run(site, mae, toy_pretrain, tmp_path):
    """Return a finished run on that package's data."""
    out = tmp_path / "run"
    outcome = mae(*toy_pretrain, "--dataset", "birds", "--img-size", 8, "--epochs", 1, "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    return out


def test_spec_checkpoint_and_environment_record_packages_and_versions(run):
    assert yaml.safe_load((run / "spec.yaml").read_text())["plugins"] == ["dataset.birds from mae-birds 1.2"]
    metadata = find_checkpoint(run).metadata()
    assert metadata["spec"]["plugins"] == ["dataset.birds from mae-birds 1.2"]
    assert USED in metadata["plugins"]
    assert {each["kind"] for each in metadata["plugins"]} == {"dataset", "task", "model", "tracker"}
    assert json.loads((run / "environment.json").read_text())["plugins"] == metadata["plugins"]


def test_a_run_of_built_in_plugins_alone_names_none_in_its_spec(pretrained):
    assert yaml.safe_load((pretrained / "spec.yaml").read_text())["plugins"] == []


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


def test_inspect_works_without_the_package_and_names_it(run, uninstall, mae):
    uninstall()
    outcome = mae("inspect", run)
    assert outcome.exit_code == 0
    words = " ".join(outcome.stdout.split())
    assert f"made with {TO_INSTALL}" in words
    assert "plugin dataset birds, of mae-birds 1.2" in words


def test_init_needs_only_what_it_takes_from_the_run(run, uninstall, mae, pictures, toy_finetune, tmp_path):
    uninstall()
    dataset = ("--dataset", "folder", "--root", pictures, "--img-size", 8, "--set", "data.channels=1")
    outcome = mae(*toy_finetune, *dataset, "--init", run, "--dry-run", "--set", "data.channels=null")
    assert "pip install" not in outcome.stderr


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


def test_the_same_version_is_not_mentioned(run, mae):
    outcome = mae("eval", run)
    assert outcome.exit_code == 0
    assert "mae-birds" not in outcome.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maecli.load_encoder(run)


def test_a_name_that_comes_from_another_package_now_is_mentioned(site):
    was = {**USED, "package": "mae-aves", "version": "3"}
    assert changes([was], Registry(), "the run") == [
        "dataset 'birds' came from mae-aves 3 for the run, and now from mae-birds 1.2"
    ]
    assert missing([was], Registry()) == []


def test_records_of_before_the_memory_name_nothing():
    assert recorded_in({}) == []
    assert recorded_in({"plugins": None}) == []
    assert recorded_in({"plugins": ["dataset.birds from mae-birds 1.2", "nonsense"]}) == [USED]
    assert recorded_in({"plugins": [USED, {**USED, "package": "maecli"}]}) == [USED]
    importlib.invalidate_caches()
