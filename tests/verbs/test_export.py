from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from maecli.exporting.compare import Agreement
from maecli.registry import registry
from maecli.run.restore import restore
from maecli.schema import FORMAT_VERSION
from maecli.verbs import export


def test_safetensors_holds_the_weights_with_classes_and_the_record_beside_them(tmp_path, mae, finetuned, monkeypatch):
    out = tmp_path / "model.weights.safetensors"
    outcome = mae("export", finetuned, "--out", out, "--samples", 2, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    said = outcome.json
    assert (said["format"], said["bytes"], said["graph_differences"]) == ("safetensors", out.stat().st_size, [])
    assert said["differences"] == [{"output": "weights", "difference": 0.0, "tolerance": 0.0}]
    module = restore(finetuned, registry(), print).module
    tensors = load_file(out)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in module.state_dict().items())
    card = out.with_name(f"{out.name}.README.md").read_text()
    code = card.split("## How to use it", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    monkeypatch.chdir(tmp_path)
    exec(code, made := {})
    assert made["tensors"].keys() == tensors.keys()
    with safe_open(out, framework="pt") as opened:
        beside = opened.metadata()
    record = json.loads(beside["mae"])
    assert json.loads(beside["classes"]) == ["cat", "dog"]
    assert (record["task"], record["format_version"], "samples" in record) == ("classify", FORMAT_VERSION, False)


def test_what_is_in_the_way_stays_unless_told_otherwise(tmp_path, mae, finetuned):
    out = tmp_path / "a.safetensors"
    out.write_text("mine")
    outcome = mae("export", finetuned, "--out", out)
    assert (outcome.exit_code, out.read_text()) == (2, "mine")
    assert "exists already; replace it by --overwrite" in outcome.stderr
    assert mae("export", finetuned, "--out", out, "--overwrite", "--samples", 1).exit_code == 0
    assert len(load_file(out)) > 10


def test_a_format_that_nobody_offers_is_named_with_those_there_are(mae, finetuned):
    outcome = mae("export", finetuned, "--format", "safetensor")
    assert outcome.exit_code == 2
    assert "did you mean 'safetensors'" in outcome.stderr
    assert "ends as no format does" in mae("export", finetuned, "--out", "model.xyz").stderr


def test_answers_that_differ_leave_nothing_behind(tmp_path, mae, finetuned, monkeypatch):
    plugin = registry().export("safetensors")
    monkeypatch.setattr(plugin, "check", lambda self, model, path: [Agreement("weights", 0.5, 0.0)])
    outcome = mae("export", finetuned, "--out", tmp_path / "out" / "a.safetensors", "--samples", 1)
    assert outcome.exit_code == 1
    assert "does not answer as the run does (weights: largest difference 0.5" in outcome.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_module_that_is_missing_is_named_with_what_installs_it(mae, finetuned, monkeypatch):
    plugin = registry().export("safetensors")
    monkeypatch.setattr(plugin, "modules", ("nowhere_to_be_found",))
    monkeypatch.setattr(plugin, "install", "pip install 'maecli[export]'")
    outcome = mae("export", finetuned, "--format", "safetensors")
    assert outcome.exit_code == 1
    assert "--format safetensors needs nowhere_to_be_found: pip install 'maecli[export]'" in outcome.stderr


@pytest.mark.parametrize("names", [("README.md", "notes.txt"), ("config.json", "notes.txt")])
def test_files_of_a_persons_own_are_not_replaced(tmp_path, mae, finetuned, names):
    for name in names:
        (tmp_path / name).write_text("mine")
    outcome = mae("export", finetuned, "--format", "timm", "--out", tmp_path, "--overwrite", "--samples", 1)
    assert outcome.exit_code == 2
    assert f"{tmp_path} holds {names[0]}, and no model card that mae wrote there, so these stay" in outcome.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "mine")


@pytest.mark.parametrize("where", [(), ("cat",), ("..",)])
def test_nothing_is_written_where_the_data_of_the_run_lie(mae, finetuned, pictures, monkeypatch, where):
    monkeypatch.setattr(export, "_export", None)  # which would write there
    for words in (("--edge", pictures.joinpath(*where)), ("--format", "timm", "--out", pictures.joinpath(*where))):
        outcome = mae("export", finetuned, *words, "--overwrite", "--samples", 1)
        assert outcome.exit_code == 2
        assert f"is where the run's data lie ({pictures.resolve()}), so nothing is written there" in outcome.stderr
