"""Every kind of network that a task builds leaves as a graph, whose file answers as it does."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from maecli_plugins.exports import onnx, tracing
from maecli_plugins.exports import torch as pt2
from maecli_plugins.tasks.segment.exported import SegmentOutputs
from PIL import Image

from maecli.data.card import DataCard
from maecli.errors import SpecError
from maecli.exporting.file_module import FileModule
from maecli.exporting.graph import Graph
from maecli.exporting.model import ExportedModel, ExportSample
from maecli.exporting.raw import RawInput
from maecli.modalities.preprocess import Preprocess
from maecli.models.lora import add_lora, merged
from maecli.registry import registry
from maecli.run.open import make_modality
from maecli.training.task import Task

TOY = {"embed_dim": 8, "depth": 1, "num_heads": 2, "mlp_ratio": 2.0, "patch_size": 4}
DEEP = TOY | {"depth": 4}
LABELS = {"fields": ("image", "label"), "classes": ("cat", "dog")}
MASKS = {
    "fields": ("image", "mask"),
    "mask_classes": ("ground", "cat", "dog"),
    "mask_palette": ((0, 0, 0), (255, 0, 0), (0, 0, 255)),
    "void": 255,
}
VOLUMES = {"modality": "volumes", "dtype": "float32", "size": (8, 8, 8)}
WINDOWS = {
    "modality": "series",
    "dtype": "float32",
    "size": (8,),
    "channel_names": ("load",),
    "targets": ("load",),
    "horizon": 3,
    "fields": ("image", "target"),
}
ROWS = {"modality": "tables", "dtype": "float32", "size": (8,), "missing": True} | LABELS
QUANTILES = {"quantiles": (0.1, 0.5, 0.9)}


def built(task, model, options, facts, size, sizes, fit="auto"):
    """Return a task and its module, of a model of `sizes`, with weights that nothing begins with."""
    card = DataCard(
        **{"name": "toys", "title": "toys", "split_sizes": {"train": 8}, "split_origin": "", "channels": 1}
        | {"size": None, "mean": (0.25,), "std": (0.5,)}
        | facts
    )
    preprocess = Preprocess.of(card, size, modality=make_modality(card, registry()), fit=fit)
    plugin, network = registry().task(task), registry().model(model)
    made = plugin(plugin.Options(**options), card, preprocess)
    known = {name: value for name, value in sizes.items() if name in network.Options.model_fields}
    torch.manual_seed(0)
    module = made.build(network(network.Options(**known)).build(preprocess.in_chans, size)).eval()
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made, module.requires_grad_(False)


def exported(task: Task, module) -> ExportedModel:
    """Return what a format is handed; pictures have the model's size alone, which traces in a tenth of the time."""
    raw = replace(RawInput.of(task.preprocess, task.card), size=task.preprocess.img_size)
    outputs = SegmentOutputs(module, raw.size, False, None) if task.name == "segment" else task.export(module)
    samples = []
    for number in range(3):
        x = torch.randn(task.preprocess.in_chans, *raw.size, generator=torch.Generator().manual_seed(number))
        samples.append(ExportSample(raw.from_model(x[None])[0], x, None))
    model = ExportedModel("toys", module, task, SimpleNamespace(), task.card, task.preprocess, {}, samples, "3 samples")
    model.__dict__.update(raw=raw, graph=Graph(raw, outputs).eval())
    return model


CASES = {
    "upernet": ("segment", "vit", {"head": "upernet", "head_channels": 4}, MASKS, (8, 8), DEEP),
    "shuffle on a hybrid": ("segment", "hybrid", {"head": "shuffle"}, MASKS, (8, 8), TOY),
    "unetr on volumes": ("segment", "vit", {"head": "unetr", "head_channels": 4}, MASKS | VOLUMES, (8, 8, 8), DEEP),
    "classes of volumes": ("classify", "vit", {"pool": "cls", "head": "mlp"}, LABELS | VOLUMES, (8, 8, 8), TOY),
    "quantiles of a gru": ("forecast", "gru", QUANTILES, WINDOWS, (8,), TOY | {"patch_size": 2}),
    "classes of rows with gaps": ("classify", "row-mlp", {}, ROWS, (8,), TOY),
}
IN_ONNX_RUNTIME = ("upernet", "quantiles of a gru")


@pytest.mark.parametrize("name", CASES)
def test_what_a_task_builds_is_traced_and_its_files_agree_and_are_used_as_their_cards_say(name, tmp_path, monkeypatch):
    model = exported(*built(*CASES[name]))
    program = tracing.traced(model)
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("picture.png")
    formats = {onnx: onnx.Onnx(), pt2: pt2.Torch()} if name in IN_ONNX_RUNTIME else {pt2: pt2.Torch()}
    for module, exporter in formats.items():
        monkeypatch.setattr(module, "traced", lambda _: program)
        path = tmp_path / f"model{exporter.suffix}"
        exporter.write(model, path)
        found = exporter.check(model, path)
        assert {one.output for one in found} == set(model.graph.outputs.names)
        assert max(one.difference for one in found) < 1e-5
        exec(exporter.usage(model).replace("FILE", path.name), made := {})
        assert {*made["answers"]} == set(model.graph.outputs.names)


@torch.no_grad()
@pytest.mark.parametrize("flip", [False, True])
def test_volumes_are_read_in_windows_by_a_file_as_by_its_run(flip):
    """The file is its graph here: that ONNX Runtime answers as that does is another test."""
    options = {"head": "light", "head_channels": 4, "flip": flip}
    task, module = built("segment", "vit", options, MASKS | VOLUMES, (8, 8, 8), TOY, fit="crop")
    model = ExportedModel("toys", module, task, SimpleNamespace(), task.card, task.preprocess, {}, [], "")
    outputs = model.graph.outputs
    file = FileModule(model.graph, model.raw, outputs.module_output, module.encoder)
    volume = torch.randn(1, 1, 13, 7, 10)
    made = model.graph(model.raw.from_model(torch.randn(2, 1, 8, 8, 8)))
    assert {*made} == {*outputs.names} == {"mask", "probabilities", "logits"}
    assert outputs.can_be_measured
    assert (task.classes_of(file, volume) != task.classes_of(module, volume)).double().mean() < 0.01


@torch.no_grad()
def test_a_graph_has_adapters_in_its_weights():
    task, module = built("classify", "vit", {}, LABELS, (8, 8), TOY)
    add_lora(module.encoder, rank=2, alpha=4.0, layers=("qkv", "fc1"))
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x = torch.randn(2, 1, 8, 8)
    ours = module.eval()(x)
    model = exported(task, merged(module))
    assert not [name for name in model.graph.state_dict() if "lora" in name]
    torch.testing.assert_close(model.graph.outputs(x)["logits"], ours, atol=1e-5, rtol=0)


REFUSED = {
    "pictures are read in windows here": ("segment", "vit", {"inference": "slide"}, MASKS, (8, 8), TOY),
    "pictures with missing pixels cannot be resized in a file yet": (
        *("classify", "vit", {}, LABELS | {"missing": True}, (8, 8), TOY),
    ),
    "volumes are read at once here, each at a size of its own": (
        *("segment", "vit", {}, MASKS | VOLUMES | {"size": None}, (8, 8, 8), TOY),
    ),
    "task impute has no graph to export; --format safetensors writes its weights": (
        *("impute", "vit", {}, ROWS | {"fields": ("image",)}, (8,), TOY),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_graph_is_refused_by_name(reason):
    task, module = built(*REFUSED[reason])
    model = ExportedModel("toys", module, task, SimpleNamespace(), task.card, task.preprocess, {}, [], "")
    with pytest.raises(SpecError) as error:
        _ = model.graph
    assert reason in str(error.value)
