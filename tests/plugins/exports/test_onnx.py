from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import maecli
from maecli.exporting.compare import difference
from maecli.registry import registry


@pytest.mark.parametrize(
    "shape", [(1, 3, 16, 16), (3, 3, 40, 90), (2, 3, 90, 40), (1, 3, 5, 200), (2, 3, 16, 17)], ids=str
)
def test_pictures_of_any_size_and_number_are_answered_as_by_the_graph(model, onnx_file, shape):
    samples = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        ours = model.graph(samples)
    theirs = registry().export("onnx").load(onnx_file)(samples)
    assert [*theirs] == ["probabilities", "logits"]
    assert all(difference(value, theirs[name]) < 1e-5 for name, value in ours.items())
    assert torch.allclose(theirs["probabilities"].sum(1), torch.ones(shape[0]))


def test_the_code_for_its_model_card_reads_pictures_as_mae_infer_does(model, onnx_file, see_through, monkeypatch):
    picture, pixels = see_through
    monkeypatch.chdir(picture.parent)
    exec(registry().export("onnx")().usage(model).replace("FILE", str(onnx_file)), made := {})
    assert np.array_equal(made["samples"][0], pixels)
    assert made["answers"]["probabilities"].sum() == pytest.approx(1, abs=1e-5)


def test_no_path_of_a_person_and_no_symbol_of_the_exporter_is_in_the_file(onnx_file, finetuned, pictures):
    content = onnx_file.read_bytes()
    for place in (finetuned, pictures, Path(maecli.__file__).parents[1], Path.home()):
        assert str(place).encode() not in content
    proto = onnx.load(onnx_file)
    record = json.loads(registry().export("onnx").metadata(onnx_file)["mae"])["spec"]
    assert (record["dataset"]["root"], record["paths"]) == (None, [])
    axes = [[dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim] for each in proto.graph.input]
    assert axes == [["batch", 3, "height", "width"]]
    assert proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_its_answers_are_those_of_the_run(model):
    assert max(one.difference for one in model.compare_graph()) < 1e-5


def test_the_file_says_what_goes_in_and_what_comes_out(onnx_file):
    beside = registry().export("onnx").metadata(onnx_file)
    assert beside == {prop.key: prop.value for prop in onnx.load(onnx_file).metadata_props}
    assert json.loads(beside["classes"]) == ["cat", "dog"]
    assert beside["input"] == "pictures (batch, 3 channels, height, width) of any size; uint8, 0 to 255"
    assert json.loads(beside["img_size"]) == [16, 16]
    graph = json.loads(beside["mae"])["graph"]
    assert (graph["module_output"], [*graph["outputs"]]) == ("logits", ["probabilities", "logits"])
