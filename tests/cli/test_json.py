"""`--json` gives one object on stdout, whatever plugins print."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from installed import DATASET, look_again, write_package

from maecli import cli

SINGING = """
print("la")
from maecli.registry import Registry

class Loud(Birds):
    def __init__(self, options):
        super().__init__(options)
        print("la")

class Sing(Registry().task("classify")):
    name = "sing"

    def loss(self, module, batch):
        print("la")
        return super().loss(module, batch)

    def predict(self, module, batch):
        print("la")
        return super().predict(module, batch)

@api.hookimpl
def mae_datasets():
    return [Loud]

@api.hookimpl
def mae_tasks():
    return [Sing]
"""


@pytest.fixture
def site(site):
    """Return a folder on the path with a package whose data set and task print."""
    text = DATASET.format(cls="Birds", name="birds") + SINGING
    write_package(site, "mae-choir", {"dataset.birds": "mae_choir", "task.sing": "mae_choir"}, mae_choir=text)
    look_again()
    return site


@pytest.mark.slow
def test_a_run_and_what_is_made_of_it_are_one_object_each(site, mae, toy_finetune, pictures, tmp_path):
    chosen = ("--dataset", "birds", "--task", "sing", "--img-size", 8, "--epochs", 1)
    out = tmp_path / "run"
    for arguments in (
        (*toy_finetune, *chosen, "--help-options"),
        (*toy_finetune, *chosen, "--dry-run"),
        (*toy_finetune, *chosen, "--out", out),
        ("eval", out),
        ("infer", pictures, "--run", out, "--workers", 0),
        ("eda", "--dataset", "birds", "--out", tmp_path / "eda"),
    ):
        outcome = mae(*arguments, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        assert isinstance(outcome.json, dict), arguments
        assert "la" in outcome.stderr.splitlines(), arguments


@pytest.mark.slow
@pytest.mark.usefixtures("told_costs")
@pytest.mark.parametrize("command", ["show", "check"])
def test_what_is_told_of_a_plugin_is_one_object(site, mae, command):
    outcome = mae("plugins", command, "birds", "--json")
    assert outcome.json["name"] == "birds"
    assert "la" in outcome.stderr.splitlines()


def test_an_error_after_something_was_printed_is_one_object(site, mae):
    (site / "mae_choir.py").write_text("print('la')\n1 / 0")
    importlib.invalidate_caches()
    outcome = mae("plugins", "show", "birds", "--json")
    assert outcome.exit_code == outcome.json["exit_code"] == 4
    assert outcome.stderr.splitlines()[0] == "la"


def test_no_verb_prints_json_by_itself():
    source = Path(cli.__file__).parent
    printing = {path.name for path in source.rglob("*.py") if "json.dumps" in path.read_text("utf-8")}
    assert printing == {"application.py", "schema.py"}, "use print_json; a schema is JSON without --json"
