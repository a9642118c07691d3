"""Files of weights that are no weights: each is refused by a sentence, with its name, in little time and memory."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzz.mutate import little_memory
from fuzz.test_weights import OURS, D, look_at_all, tiny_vit
from safetensors.torch import save_file

from maecli.errors import MaeError
from maecli.verbs.inspect import inspect_weights
from maecli.weights import files
from maecli.weights.files import read_weights

VIT = tiny_vit()


def reason_of(path: Path) -> str:
    begin = time.process_time()
    with little_memory(), pytest.raises(MaeError) as caught:
        look_at_all(path)
    assert time.process_time() - begin < 5
    assert "\n" not in str(caught.value)
    return str(caught.value)


def safe(tmp_path: Path, changes: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    tensors = {name: tensor for name, tensor in (VIT | changes).items() if tensor is not None}
    save_file(tensors, tmp_path / "model.safetensors", metadata)
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"blocks.0.norm1.weight": torch.ones(())}, "it has no usual blocks.0.norm1.weight"),
        ({"norm.weight": torch.ones(())}, "its norm.weight is scalar"),
        ({"cls_token": torch.ones(D)}, "its cls_token is 4"),
        ({"cls_token": torch.ones(1, 1, 7)}, "its cls_token is 1×1×7"),
        ({"pos_embed": torch.ones(1, 5, 7)}, "its pos_embed is 1×5×7"),
        ({"pos_embed": torch.ones(5, D)}, "its pos_embed is 5×4"),
        ({"patch_embed.proj.weight": torch.ones(0, 1, 2, 2)}, "its patch_embed.proj.weight is 0×1×2×2"),
        ({"patch_embed.proj.weight": torch.ones(D, 1, 2, 0)}, "its patch_embed.proj.weight is 4×1×2×0"),
        ({"patch_embed.proj.weight": torch.ones(7, 1, 2, 2)}, "another kind: its "),
        ({"patch_embed.proj.weight": torch.ones(D, 1, 1, 5000)}, "has patches of 1×5000, over 1024"),
        ({"blocks.0.attn.qkv.weight": torch.ones(())}, "its blocks.0.attn.qkv.weight is scalar"),
        ({"blocks.0.mlp.fc1.weight": torch.ones(2, 2, 2)}, "it has no usual blocks.0.mlp.fc1.weight"),
        ({"blocks.7.norm1.weight": torch.ones(D)}, "lacks some of the blocks 0 to 7"),
        ({"blocks.99999999999.norm1.weight": torch.ones(D)}, "lacks some of the blocks 0 to 99999999999"),
        ({"norm.weight": torch.ones(D, dtype=torch.int8)}, "is quantised: norm.weight is int8"),
        ({"norm.weight": torch.ones(D, dtype=torch.complex64)}, "norm.weight is complex64"),
    ],
)
def test_tensors_of_other_shapes_are_refused_by_name(changes, said, tmp_path):
    assert said in reason_of(safe(tmp_path, changes))


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(4).to_sparse(),
        lambda: torch.eye(4).to_sparse_csr(),
        lambda: torch.empty(4, 4, device="meta"),
        lambda: torch.ones(1).expand(10**6, 10**9),
    ],
    ids=["sparse", "csr", "meta", "expanded"],
)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_tensors_without_values_of_their_own_are_refused_by_name(make, tmp_path):
    torch.save(VIT | {"odd.weight": make()}, tmp_path / "x.pth")
    said = reason_of(tmp_path / "x.pth")
    assert "odd.weight" in said or "calls for" in said


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_kind_of_floating_point_is_imported(dtype, tmp_path):
    look_at_all(safe(tmp_path, {name: tensor.to(dtype) for name, tensor in VIT.items()}))


@pytest.mark.slow
def test_a_compressed_archive_is_refused_before_it_is_read(tmp_path):
    """256 MiB of zeros take 260 kB; torch.save never compresses."""
    torch.save(VIT, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as whole, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for record in whole.infolist():
            data = whole.read(record)
            zeros = bytes(2**28) if record.filename.endswith("/data/0") else data
            bomb.writestr(record.filename, zeros, compress_type=zipfile.ZIP_DEFLATED)
    assert reason_of(tmp_path / "bomb.pth").endswith(
        "holds compressed records, which torch.save does not write; it may be cut short: fetch it again"
    )


def test_the_list_of_tensors_in_an_archive_has_a_size(tmp_path, monkeypatch):
    torch.save(VIT, tmp_path / "x.pth")
    monkeypatch.setattr(files, "MAX_PICKLE_BYTES", 100)
    assert "lists its tensors in more than 100 bytes" in reason_of(tmp_path / "x.pth")


def test_containers_within_containers_are_told_of_to_a_depth(tmp_path):
    """Of eight in eight in eight … there would be 8³⁰."""
    nested: Any = 1
    for _ in range(30):
        nested = [nested] * 8
    loop = argparse.Namespace(name="x")
    loop.loop = loop
    torch.save(
        {"model": VIT, "nested": nested, "args": loop, "number": 10**50, "nan": float("nan")}, tmp_path / "x.pth"
    )
    beside = inspect_weights(tmp_path / "x.pth").as_json()["metadata"]
    assert (beside["nan"], beside["number"], beside["args"]["name"]) == ("nan", "int", "x")
    assert len(json.dumps(beside, allow_nan=False)) < 200_000


def test_names_that_are_no_text_are_told_in_words(tmp_path):
    torch.save({"model": VIT, 5: 1, b"x": 2, (1, 2): 3, "\ud800": 4}, tmp_path / "x.pth")
    names = set(inspect_weights(tmp_path / "x.pth").metadata)
    assert names == {"5", "bytes", "tuple", "\\ud800"}


def test_a_header_of_any_length_is_refused_or_read_at_once(tmp_path):
    path = tmp_path / "model.safetensors"
    for length in (2**63, 2**40, 10**8, 10):
        path.write_bytes(struct.pack("<Q", length) + b"{" + b" " * 100)
        assert reason_of(path).startswith(f"{path} cannot be read as safetensors")
    path.write_bytes(struct.pack("<Q", 200_000) + b'{"a":' * 40_000)
    assert reason_of(path).startswith(f"{path} cannot be read as safetensors")


def test_a_file_is_read_or_refused_wherever_it_is_cut(tmp_path):
    torch.save({"model": VIT}, tmp_path / "x.pth")
    safe(tmp_path, {}, {"mae": json.dumps(OURS)})
    for name in ("x.pth", "model.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for length in range(0, len(whole), max(1, len(whole) // 60)):
            (tmp_path / name).write_bytes(whole[:length])
            assert reason_of(tmp_path / name).startswith(str(tmp_path / name))


@pytest.mark.parametrize("text", ["[1, 2]", '"text"', "null", "5", "1e999", "NaN"])
def test_a_config_of_another_shape_says_nothing(text, tmp_path):
    safe(tmp_path, {})
    (tmp_path / "config.json").write_text(text)
    look_at_all(tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_attention_heads": 0}, "gives 0 attention heads for a width of 4"),
        ({"num_attention_heads": 3}, "gives 3 attention heads for a width of 4"),
        ({"num_attention_heads": -1}, "gives -1 attention heads"),
        ({"hidden_act": ["gelu"]}, "with the activation"),
    ],
)
def test_a_config_that_contradicts_the_weights_is_refused(config, said, tmp_path, mae):
    safe(tmp_path, {})
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert said in " ".join(inspect_weights(tmp_path).notes)
    assert mae("inspect", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    "config",
    [
        {"image_size": 10**100, "layer_norm_eps": 10**290, "pretrained_cfg": []},
        {"image_size": [], "layer_norm_eps": "1e-6", "num_attention_heads": True},
        {"image_size": [None, 4], "pretrained_cfg": {"mean": [{}], "std": ["x"]}},
        {"image_size": -4, "num_attention_heads": "2", "text": "\ud800"},
    ],
)
def test_numbers_of_a_config_that_mean_nothing_say_nothing(config, tmp_path, mae):
    safe(tmp_path, {})
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": 5, "image_std": {"a": 1}}))
    assert mae("inspect", tmp_path).exit_code == 0
    look_at_all(tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 500 + "1" + "}" * 500, '{"a": ' + "9" * 5000 + "}", "{", "\xff"]
)
def test_a_config_that_is_none_is_refused(text, tmp_path):
    safe(tmp_path, {})
    (tmp_path / "config.json").write_text(text, encoding="latin1")
    assert str(tmp_path / "config.json") in reason_of(tmp_path)


def without(*keys: str) -> dict[str, Any]:
    record = json.loads(json.dumps(OURS))
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return record


@pytest.mark.parametrize(
    "record",
    [
        "[]",
        "5",
        "{",
        "[" * 50_000,
        json.dumps({"spec": None}),
        json.dumps({"spec": []}),
        *(json.dumps(without(*keys)) for keys in [("card",), ("task",), ("preprocess",), ("spec", "model")]),
        *(
            json.dumps(without(*keys))
            for keys in [("preprocess", "img_size"), ("card", "classes"), ("spec", "model", "name")]
        ),
        json.dumps(OURS | {"preprocess": {"in_chans": "3", "img_size": [4, 4]}}),
        json.dumps(OURS | {"preprocess": {"in_chans": 3, "img_size": 4}}),
        json.dumps(OURS | {"preprocess": {"in_chans": 3, "img_size": [0, 4]}}),
        json.dumps(OURS | {"plugins": 5}),
    ],
)
def test_a_record_of_ours_of_another_shape_is_one_sentence(record, tmp_path, mae):
    path = safe(tmp_path, {}, {"mae": record})
    outcome = mae("inspect", path)
    assert outcome.exit_code == 1
    assert str(path) in outcome.stderr


def test_a_plain_pickle_is_no_file_of_weights(tmp_path):
    (tmp_path / "x.pth").write_bytes(pickle.dumps({"model": [1, 2]}))
    assert reason_of(tmp_path / "x.pth").startswith(str(tmp_path / "x.pth"))
    torch.save([], tmp_path / "x.pth")
    assert "holds no named tensors" in reason_of(tmp_path / "x.pth")
    torch.save({"model": {}}, io_buffer := io.BytesIO())
    (tmp_path / "x.pth").write_bytes(io_buffer.getvalue())
    with pytest.raises(MaeError, match="holds no named tensors"):
        read_weights(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("num", "padding", "said"),
    [(20_001, 0, "lists 20,001 tensors, more than 20,000"), (1, 1 << 24, "bytes, more than 16,777,216")],
)
def test_a_header_of_safetensors_that_no_model_has_is_refused(num, padding, said, tmp_path):
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({str(i): entry for i in range(num)}).encode() + b" " * padding
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert said in reason_of(path)
