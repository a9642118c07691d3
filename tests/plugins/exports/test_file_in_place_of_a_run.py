"""An ONNX file through `mae eval` and `mae infer`: the same verbs, metrics and outputs as its run."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from write_data import write_class_folders, write_pictures
from written import csv_rows

from maecli.errors import SpecError
from maecli.registry import registry
from maecli.run.exported.file import file_module
from maecli.run.restore import restore


@pytest.mark.usefixtures("without_charts")
def test_its_metrics_are_those_of_the_run_and_lie_beside_it(onnx_file, mae, finetuned, pictures, tmp_path):
    out = tmp_path / "metrics.json"
    outcome = mae("eval", onnx_file, "--root", pictures, "--json", "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    run = shutil.copytree(finetuned, tmp_path / "run")  # others look at the evaluations of the shared one
    ours = {metric["name"]: metric["value"] for metric in mae("eval", run, "--json").json["metrics"]}
    theirs = {metric["name"]: metric["value"] for metric in outcome.json["metrics"]}
    assert ours.keys() == theirs.keys()
    assert theirs == pytest.approx(ours, abs=1e-5)
    assert theirs["top1"] == ours["top1"]
    assert json.loads(out.read_text())["metrics"] == outcome.json["metrics"]
    assert mae("eval", onnx_file, "--root", pictures).exit_code == 0
    assert onnx_file.with_name("model.onnx.test.json").exists()


def test_where_the_data_lie_is_asked_for(onnx_file, mae):
    outcome = mae("eval", onnx_file)
    assert outcome.exit_code == 2
    assert "does not say where its run's data lie, for files name no folders; give --root" in outcome.stderr


def test_its_predictions_are_those_of_the_run(onnx_file, mae, finetuned, tmp_path):
    write_pictures(tmp_path / "in", 4)
    rows = []
    for name, run in (("ours", finetuned), ("theirs", onnx_file)):
        outcome = mae("infer", tmp_path / "in", "--run", run, "--out", tmp_path / name, "--workers", 0)
        assert outcome.exit_code == 0, outcome.stderr
        rows.append(csv_rows(tmp_path / name / "predictions.csv"))
    for mine, other in zip(*rows, strict=True):
        assert (mine["path"], mine["class"]) == (other["path"], other["class"])
        assert float(mine["p_cat"]) == pytest.approx(float(other["p_cat"]), abs=2e-6)


def test_features_of_a_pretraining_are_those_of_the_run(mae, onnx_file, pretrained, pictures, tmp_path):
    file, out = tmp_path / "features.onnx", tmp_path / "out.npy"
    assert mae("export", pretrained, "--format", "onnx", "--out", file).exit_code == 0
    assert "mae embed DIR --run" in file.with_name("features.onnx.README.md").read_text()
    made = []
    for run in (pretrained, file):
        for source in ((pictures / "cat",), ("--dataset", "folder", "--root", pictures)):
            assert mae("embed", *source, "--run", run, "--out", out, "--overwrite").exit_code == 0
            made.append((np.load(out), [row["path"] for row in csv_rows(tmp_path / "out.npy.csv")]))
    for (ours, names), (theirs, same) in zip(made[:2], made[2:], strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
        assert same == names
    for words, sentence in (
        ((pictures, "--run", onnx_file), "gives probabilities, logits, and no features; give its run instead"),
        ((pictures, "--run", file, "--tokens", "cls"), "mean of the patch tokens alone; leave --tokens cls out"),
        ((pictures, "--run", file, "--precision", "bf16"), "computed on the CPU in float32; leave --precision bf16"),
        (("--dataset", "folder", "--run", file), "does not say where its run's data lie"),
    ):
        outcome = mae("embed", *words)
        assert outcome.exit_code == 2
        assert sentence in outcome.stderr


def test_what_is_no_file_of_mae_is_refused_in_a_sentence(mae, tmp_path):
    other, broken = tmp_path / "other.onnx", tmp_path / "broken.onnx"
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    named = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "identity", [value], [named])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), other)
    for verb in (("eval", other), ("infer", tmp_path, "--run", other)):
        outcome = mae(*verb)
        assert outcome.exit_code == 2
        assert "was not written by mae export: it says nothing of a run" in outcome.stderr
    for verb, rest in (("eval", 30), ("bench", 30), ("eval", 0)):
        broken.write_bytes(other.read_bytes()[:rest])
        outcome = mae(verb, broken)
        assert outcome.exit_code == 1
        assert "cannot be read as ONNX; it may be cut short: export or copy it again" in outcome.stderr
        outcome = mae(verb, tmp_path / "none")
        assert outcome.exit_code == 2
        assert "none does not exist; give a run directory, a checkpoint folder or an exported file" in outcome.stderr
    for words in (("inspect", other), ("pretrain", "--dataset", "digits", "--init", other)):
        outcome = mae(*words)
        assert outcome.exit_code == 2
        assert "is an exported file, whose weights are within its graph; give its run" in outcome.stderr


@pytest.mark.parametrize("words", [("--format", "torch"), ("--format", "safetensors"), ("--edge", "edge"), ()])
def test_it_is_not_exported_again(onnx_file, mae, tmp_path, words):
    for path, sentence in (
        (onnx_file, f"{onnx_file} is an exported file; give its run"),
        (tmp_path / "none", f"{tmp_path / 'none'} does not exist; give a run directory or a checkpoint folder"),
    ):
        outcome = mae("export", path, *words)
        assert outcome.exit_code == 2
        assert outcome.stderr == f"mae: {sentence}\n"
        assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("kind", "width", "reason"),
    [
        ("FLOAT", 2, "float"),
        ("UINT8", None, "it gives no 'logits'"),
        ("UINT8", 2, "it gives no 'probabilities'"),
    ],
)
def test_a_record_on_another_network_is_refused_in_a_sentence(onnx_file, mae, tmp_path, kind, width, reason):
    other, (batch, three) = tmp_path / "other.onnx", ("B", 3)
    samples = onnx.helper.make_tensor_value_info("samples", getattr(onnx.TensorProto, kind), [batch, three, "H", "W"])
    zeros = onnx.helper.make_tensor("zeros", onnx.TensorProto.FLOAT, [1, width or 2], [0.0] * (width or 2))
    node = onnx.helper.make_node("Constant", [], ["logits" if width else "answers"], value=zeros)
    named = onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, [1, width or 2])
    graph = onnx.helper.make_graph([node], "constant", [samples], [named])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.helper.set_model_props(model, {each.key: each.value for each in onnx.load(onnx_file).metadata_props})
    onnx.save(model, other)
    for verb in (("eval", other), ("infer", tmp_path, "--run", other)):
        outcome = mae(*verb)
        assert outcome.exit_code == 2
        assert re.search(f"is not the network that it records to be: .*{reason}", outcome.stderr)


def test_a_file_of_another_number_of_classes_than_it_records_is_refused_in_a_sentence(finetuned):
    restored = restore(finetuned, registry(), print)
    graph = {"can_be_measured": True, "module_output": "logits", "outputs": dict.fromkeys(("probabilities", "logits"))}

    def checked(num: int) -> None:
        plugin = SimpleNamespace(load=lambda path: lambda raw: dict.fromkeys(graph["outputs"], torch.zeros(1, num)))
        file = SimpleNamespace(path="model.onnx", metadata=lambda: {"graph": graph}, plugin=plugin)
        file_module(file, restored.task, restored.module)

    num = len(restored.card.classes)
    checked(num)
    wanted = (
        rf"^model.onnx is not the network .*: its logits are \(1, {num + 1}\) where \(1, {num}\) are wanted; export"
    )
    with pytest.raises(SpecError, match=wanted):
        checked(num + 1)


def test_a_file_without_an_output_of_the_module_is_tried_by_another(finetuned):
    restored = restore(finetuned, registry(), print)
    graph = {"can_be_measured": True, "module_output": "", "outputs": {"mask": "as of segmentation"}}
    plugin = SimpleNamespace(load=lambda path: lambda raw: {"mask": raw[:, 0]})
    file = SimpleNamespace(path="model.onnx", metadata=lambda: {"graph": graph}, plugin=plugin)
    assert file_module(file, restored.task, restored.module).answers(torch.zeros(1, 3, 16, 16)).keys() == {"mask"}


def test_what_reading_it_needs_is_named(onnx_file, mae, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    outcome = mae("eval", onnx_file)
    assert outcome.exit_code == 1
    assert outcome.stderr == f"mae: reading {onnx_file} needs onnxruntime: pip install 'maecli[export]'\n"


def test_options_that_a_file_and_a_run_do_not_share_are_refused(onnx_file, mae, finetuned):
    assert "--probe looks into the encoder of a run" in mae("eval", onnx_file, "--probe", "knn").stderr
    assert "--dataset is for files of mae export" in mae("eval", finetuned, "--dataset", "digits").stderr


@pytest.mark.usefixtures("without_charts")
def test_it_is_measured_on_other_data_of_the_same_classes_as_its_run_is(onnx_file, mae, finetuned, tmp_path):
    other, run = tmp_path / "other", shutil.copytree(finetuned, tmp_path / "run")
    write_class_folders(other, num=10)
    (other / "cat/broken.png").write_bytes(b"no picture")
    by_run = mae("eval", run, "--root", other, "--json").json
    for data in (("--root", other), ("--dataset", "folder", "--root", other)):
        by_file = mae("eval", onnx_file, *data, "--out", tmp_path / "metrics.json", "--json").json
        assert by_file["num_samples"] == by_run["num_samples"] == 2
        assert [*by_file["skipped"]] == ["cat/broken.png"]
        ours, theirs = ({each["name"]: each["value"] for each in found["metrics"]} for found in (by_run, by_file))
        assert theirs == pytest.approx(ours, abs=1e-5)
    outcome = mae("eval", onnx_file, "--dataset", "digits", "--out", tmp_path / "digits.json")
    assert outcome.exit_code == 3
    assert "the run knows none of the classes of these data: they have '0', '1'" in outcome.stderr
    assert not (tmp_path / "digits.json").exists()


def test_settings_that_a_file_cannot_follow_are_refused(onnx_file, mae, finetuned, tmp_path):
    for option, value in (("--device", "cuda"), ("--precision", "bf16"), ("--base", finetuned)):
        for verb in (("eval", onnx_file), ("infer", tmp_path, "--run", onnx_file)):
            outcome = mae(*verb, option, value)
            assert outcome.exit_code == 2
            assert "leave" in outcome.stderr.splitlines()[-1]
            assert str(onnx_file) in outcome.stderr.splitlines()[-1]


def test_programs_of_torch_are_not_loaded(mae, tmp_path):
    (tmp_path / "model.pt2").write_bytes(b"anything")
    outcome = mae("eval", tmp_path / "model.pt2")
    assert outcome.exit_code == 2
    assert "mae runs ONNX files" in outcome.stderr
