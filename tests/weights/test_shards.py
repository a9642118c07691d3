"""Weights in several files, in the form in which Hugging Face writes them."""

from __future__ import annotations

import json

import pytest
import torch
from reference_models import hf_vit
from safetensors.torch import load_file, save_file

from maecli.errors import MaeError, SpecError
from maecli.weights import files
from maecli.weights.files import WeightFile, read_weights
from maecli.weights.formats import import_encoder

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a vision transformer of Hugging Face's in two files of safetensors."""
    hf_vit().save_pretrained(tmp_path)
    split(tmp_path, load_file(tmp_path / "model.safetensors"), (FIRST, SECOND), INDEX, save_file)
    (tmp_path / "model.safetensors").unlink()
    return tmp_path


def split(folder, tensors, names, index, save):
    half = len(tensors) // 2
    parts = dict(list(tensors.items())[:half]), dict(list(tensors.items())[half:])
    for name, part in zip(names, parts, strict=True):
        save(part, folder / name)
    places = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))


def place(folder, **changes):
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | {"weight_map": index["weight_map"] | changes}))


def problem(path, kind=MaeError):
    with pytest.raises(kind) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_parts_give_what_the_whole_gives(folder):
    file = read_weights(folder)
    weights = import_encoder(file)
    whole = import_encoder(WeightFile("whole", "safetensors", dict(hf_vit().state_dict()))).tensors
    assert (file.kind, file.config["num_attention_heads"], weights.num_heads) == ("safetensors", 4, 4)
    assert weights.source == str(folder / INDEX)
    assert weights.tensors.keys() == whole.keys()
    assert all(weights.tensors[name].equal(whole[name]) for name in whole)


def test_the_index_itself_may_be_named_and_parts_may_be_links(folder, tmp_path):
    """A cache of Hugging Face's links its files to blobs elsewhere."""
    blob = tmp_path / "blobs" / "3f"
    blob.parent.mkdir()
    (folder / SECOND).rename(blob)
    (folder / SECOND).symlink_to(blob)
    assert len(read_weights(folder / INDEX).tensors) == len(hf_vit().state_dict())


def test_parts_written_by_torch_are_read(tmp_path):
    names = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
    split(tmp_path, dict(hf_vit().state_dict()), names, "pytorch_model.bin.index.json", torch.save)
    file = read_weights(tmp_path)
    assert (file.kind, len(file.tensors)) == ("torch", len(hf_vit().state_dict()))


def test_the_whole_is_taken_before_parts(folder):
    save_file({"a.weight": torch.ones(1)}, folder / "model.safetensors")
    assert list(read_weights(folder).tensors) == ["a.weight"]


def test_a_missing_part_is_named(folder):
    (folder / SECOND).unlink()
    assert problem(folder) == f"{folder / INDEX} names {SECOND}, which {folder} lacks; fetch what is missing"


def test_a_tensor_that_its_part_lacks_is_named(folder):
    place(folder, **{"embeddings.more": FIRST})
    assert problem(folder) == (f"{folder / FIRST} lacks embeddings.more, which {INDEX} places there; fetch both again")


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "a/../../b", "..\\b", "C:\\b", "\\\\host\\b", "", ".", "a\0b"]
)
def test_a_part_outside_the_folder_is_refused(name, folder):
    place(folder, x=name)
    assert (
        problem(folder) == f"{folder / INDEX} names {name!r}, which is no file below its folder; nothing of it was read"
    )


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", '{"weight_map": {}}', '{"weight_map": ["a"]}', '{"weight_map": {"a": 1}}'],
)
def test_an_index_of_another_form_is_told(text, folder):
    (folder / INDEX).write_text(text)
    assert problem(folder) == f"{folder / INDEX} is no index of weights: it has no weight_map from tensors to files"


def test_a_part_is_read_once_however_often_it_is_named(folder, monkeypatch):
    """A bomb: one file under many names, each of which would be read anew."""
    read, seen = files._read_file, []
    monkeypatch.setattr(files, "_read_file", lambda path: seen.append(path.name) or read(path))
    names = json.loads((folder / INDEX).read_text())["weight_map"]
    first = [name for name in names if names[name] == FIRST]
    place(folder, **{name: "./" * number + FIRST for number, name in enumerate(first)})
    read_weights(folder)
    assert sorted(seen) == [FIRST, SECOND]


def test_a_part_alone_is_refused(folder):
    assert problem(folder / FIRST, SpecError) == (
        f"{folder / FIRST} is part 1 of 2 of some weights; give the folder, {folder}"
    )
    (folder / INDEX).unlink()
    assert problem(folder / SECOND, SpecError) == (
        f"{folder / SECOND} is part 2 of 2 of some weights; fetch the others and {INDEX} beside it"
    )


def test_the_only_part_is_the_whole(tmp_path):
    save_file({"a.weight": torch.ones(1)}, tmp_path / "model-00001-of-00001.safetensors")
    assert list(read_weights(tmp_path / "model-00001-of-00001.safetensors").tensors) == ["a.weight"]
