"""1,000 damaged files of weights of each kind: they are read, imported and inspected, or refused by one sentence."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from fuzz.mutate import Reader, survives
from maecli.errors import MaeError
from maecli.verbs.inspect import inspect_weights
from maecli.weights.files import read_weights
from maecli.weights.formats import import_encoder

D = 4


def tiny_vit() -> dict[str, torch.Tensor]:
    """Return a vision transformer of one block, as timm names it."""
    shapes = {
        "cls_token": (1, 1, D),
        "pos_embed": (1, 5, D),
        "patch_embed.proj.weight": (D, 1, 2, 2),
        "patch_embed.proj.bias": (D,),
        "blocks.0.norm1.weight": (D,),
        "blocks.0.norm1.bias": (D,),
        "blocks.0.attn.qkv.weight": (3 * D, D),
        "blocks.0.attn.qkv.bias": (3 * D,),
        "blocks.0.attn.proj.weight": (D, D),
        "blocks.0.attn.proj.bias": (D,),
        "blocks.0.norm2.weight": (D,),
        "blocks.0.norm2.bias": (D,),
        "blocks.0.mlp.fc1.weight": (8, D),
        "blocks.0.mlp.fc1.bias": (8,),
        "blocks.0.mlp.fc2.weight": (D, 8),
        "blocks.0.mlp.fc2.bias": (D,),
        "norm.weight": (D,),
        "norm.bias": (D,),
    }
    return {name: torch.ones(shape) for name, shape in shapes.items()}


OURS = {
    "format_version": 1,
    "task": "classify",
    "spec": {"model": {"name": "vit", "patch_size": 2, "embed_dim": D}},
    "preprocess": {"in_chans": 1, "img_size": [4, 4]},
    "card": {"classes": ["a", "b"], "mask_classes": []},
    "plugins": [{"kind": "task", "name": "t", "package": "p", "version": "1"}],
}


def torch_file(content: object, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def trained(state: dict[str, torch.Tensor]) -> dict[str, object]:
    return {"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1, betas=(0.9, 0.95)), "scaler": {"scale": 1.0}}


SAMPLES = {
    "safetensors": [save(tiny_vit()), save(tiny_vit(), {"mae": json.dumps(OURS)})],
    "zip": [torch_file(tiny_vit(), True), torch_file(trained(tiny_vit()), True)],
    "legacy": [torch_file(tiny_vit(), False), torch_file(trained(tiny_vit()), False)],
}


def look_at_all(path: Path) -> None:
    """Inspect a file, show it as JSON, and import its encoder."""
    json.dumps(inspect_weights(path).as_json(), allow_nan=False)
    weights = import_encoder(read_weights(path))
    assert weights.model_options()["depth"] >= 1


READERS = [Reader(f"weights in {kind}", "weights", look_at_all, SAMPLES[kind], MaeError) for kind in SAMPLES]


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_file_of_weights_is_read_or_refused_by_a_sentence(reader, tmp_path):
    came = reader.survives(tmp_path)
    assert sum(came.values()) == 1000
    assert came["read"] < 900


@pytest.mark.slow
def test_a_damaged_config_beside_weights_is_read_or_refused_by_a_sentence(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(SAMPLES["safetensors"][0])
    config = {"num_attention_heads": 2, "image_size": [4, 4], "hidden_act": "gelu", "layer_norm_eps": 1e-5}
    pixels = {"image_mean": [0.5], "image_std": [0.5]}
    samples = [json.dumps(each).encode() for each in (config, {"pretrained_cfg": {"mean": [0.5], "std": [0.25]}})]
    for name, files in (("config.json", samples), ("preprocessor_config.json", [json.dumps(pixels).encode()])):
        survives(lambda _: look_at_all(tmp_path), files, tmp_path / name, MaeError, num=500)
        (tmp_path / name).unlink()
