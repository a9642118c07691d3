from __future__ import annotations

import argparse
import dataclasses
import shutil

import torch
from reference_models import hf_vit_mae, official_mae, timm_vit
from safetensors.torch import save_file

from maecli.run.checkpoint import find_checkpoint
from maecli.training.checkpoint import MODEL
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.verbs import inspect
from maecli.verbs.inspect import Group, group_tensors


def inspected(mae, path, *arguments):
    outcome = mae("inspect", path, "--json", *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.json


def test_names_are_joined_over_blocks_and_kept_apart_by_shape_and_dtype():
    names = {
        "cls_token": (1, 1, 4),
        "blocks.0.norm1.weight": (4,),
        "blocks.11.norm1.weight": (4,),
        "blocks.12.norm1.weight": (8,),
        "encoder.layers.encoder_layer_3.mlp.0.bias": (4,),
        "encoder.layers.encoder_layer_4.mlp.3.bias": (4,),
    }
    tensors = {name: torch.zeros(shape) for name, shape in names.items()}
    tensors["blocks.13.norm1.weight"] = torch.zeros(4, dtype=torch.float16)
    assert group_tensors(tensors) == (
        Group("cls_token", 1, (1, 1, 4), "float32"),
        Group("blocks.*.norm1.weight", 2, (4,), "float32"),
        Group("blocks.*.norm1.weight", 1, (8,), "float32"),
        Group("encoder.layers.encoder_layer_*.mlp.*.bias", 2, (4,), "float32"),
        Group("blocks.*.norm1.weight", 1, (4,), "float16"),
    )


def test_a_checkpoint_that_a_run_removes_as_it_trains_makes_room_for_the_next(pretrained, tmp_path, mae, monkeypatch):
    shutil.copytree(pretrained, run := tmp_path / "run")
    folder, last = CheckpointFolder(run / "checkpoints"), find_checkpoint(run)

    def removed(file, read=inspect.read_weights):
        if last.path.exists():
            later = dataclasses.replace(last, path=last.path.with_name("step-000009"))
            last.path.rename(later.path)
            folder.point("last", later)
        return read(file)

    monkeypatch.setattr(inspect, "read_weights", removed)
    assert inspected(mae, run)["path"] == str(run / "checkpoints/step-000009" / MODEL)


def test_a_run_tells_its_spec_and_card(pretrained, finetuned, mae):
    for run, decoder in ((pretrained, True), (finetuned, False)):
        found = inspected(mae, run)
        assert found["format"] == "mae, format 1"
        assert found["path"] == str(find_checkpoint(run).path / MODEL)
        assert found["metadata"]["spec"]["dataset"]["name"] == "folder"
        assert found["metadata"]["card"]["channels"] == 3
        shape = {"embed_dim": 16, "depth": 2, "patch_size": 4, "img_size": [16, 16], "in_chans": 3}
        assert {key: found["architecture"][key] for key in shape} == shape
        assert found["architecture"]["decoder"] is decoder
        assert found["architecture"]["classes"] == (None if decoder else 2)
        assert sum(group["num"] for group in found["groups"]) == found["num_tensors"]
        names = [group["name"] for group in found["groups"]]
        assert "encoder.blocks.*.attn.qkv.weight" in names


def test_an_official_checkpoint_tells_what_lies_beside_its_tensors(tmp_path, mae):
    args = argparse.Namespace(model="mae_vit_base_patch16", norm_pix_loss=True)
    torch.save({"model": official_mae(), "epoch": 799, "args": args, "optimizer": {"state": {}}}, tmp_path / "mae.pth")
    found = inspected(mae, tmp_path / "mae.pth")
    assert (found["format"], found["kind"], found["under"]) == ("official MAE", "torch", "model")
    assert found["metadata"] == {"epoch": 799, "args": vars(args), "optimizer": "dict of 1"}
    shape = {"patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 1, "mlp_ratio": 1.5, "layer_scale": None}
    others = {"img_size": [32, 32], "in_chans": 3, "classes": None, "decoder": True}
    num = sum(p.numel() for p in timm_vit(num_classes=0).parameters()) - 32  # the class token's position is added to it
    assert found["architecture"] == shape | others | {"encoder_parameters": num}
    assert found["notes"] == ["num_heads is not recorded; what models of this width have is shown"]


def test_a_classifier_tells_its_classes(tmp_path, mae):
    torch.save(timm_vit().state_dict(), tmp_path / "vit.pth")
    found = inspected(mae, tmp_path / "vit.pth")
    assert (found["architecture"]["classes"], found["architecture"]["decoder"]) == (5, False)
    assert found["num_parameters"] == sum(p.numel() for p in timm_vit().parameters())
    assert found["num_bytes"] == 4 * found["num_parameters"]


def test_a_folder_of_hugging_face_tells_its_config(tmp_path, mae):
    hf_vit_mae().save_pretrained(tmp_path)
    found = inspected(mae, tmp_path)
    assert found["format"] == "Hugging Face ViTMAE"
    assert found["metadata"]["config.json"]["num_attention_heads"] == 4
    assert found["architecture"]["num_heads"] == 4
    assert found["notes"] == []


def test_a_model_that_an_encoder_cannot_be_is_described_with_the_reason(tmp_path, mae):
    state = {name: tensor.to(torch.int8) for name, tensor in timm_vit().state_dict().items()}
    save_file(state, tmp_path / "vit.safetensors")
    found = inspected(mae, tmp_path / "vit.safetensors")
    assert found["architecture"] == {}
    assert "is quantised: " in found["notes"][0]


def test_an_unknown_file_is_listed_all_the_same(tmp_path, mae):
    save_file({"conv1.weight": torch.zeros(2, 3, 1, 1)}, tmp_path / "net.safetensors", {"author": "somebody"})
    found = inspected(mae, tmp_path / "net.safetensors")
    assert (found["format"], found["architecture"], found["metadata"]) == ("unknown", {}, {"author": "somebody"})
    assert found["groups"] == [{"name": "conv1.weight", "num": 1, "shape": [2, 3, 1, 1], "dtype": "float32"}]


def test_people_read_a_table(finetuned, mae):
    outcome = mae("inspect", finetuned)
    assert outcome.exit_code == 0
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert "format mae, format 1" in lines
    assert "embed dim 16" in lines
    assert "img size 16×16" in lines
    assert "decoder no" in lines
    assert "encoder.blocks.*.norm1.weight 2 16 float32" in lines


def test_what_a_file_says_is_no_markup(tmp_path, mae):
    save_file({"[/b].weight": torch.zeros(2)}, tmp_path / "odd.safetensors", {"format": "[/red] pt"})
    outcome = mae("inspect", tmp_path / "odd.safetensors")
    assert outcome.exit_code == 0
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert "metadata format [/red] pt" in lines
    assert "[/b].weight 1 2 float32" in lines


def test_what_cannot_be_read_is_one_sentence(tmp_path, mae):
    (tmp_path / "notes.txt").write_text("no weights at all")
    outcome = mae("inspect", tmp_path / "notes.txt", "--json")
    assert outcome.exit_code == 1
    assert outcome.json["error"].startswith(f"{tmp_path / 'notes.txt'} is neither safetensors nor a file of torch.save")


def test_several_encoders_are_listed_and_one_of_them_can_be_looked_at(tmp_path, mae):
    path = tmp_path / "dino.pth"
    vit = timm_vit().state_dict()
    torch.save(
        {"student": vit, "teacher": {f"backbone.{name}": 2 * each for name, each in vit.items()}, "epoch": 3}, path
    )
    found = inspected(mae, path)
    assert (found["format"], found["encoders"], found["num_tensors"]) == ("2 encoders", ["student", "teacher"], 88)
    assert found["metadata"] == {"epoch": 3}
    assert found["notes"] == [
        f"{path} holds 2 encoders: student, teacher; choose one, by --init {path}#student or --init {path}#teacher"
    ]
    assert {group["name"].split(".")[0] for group in found["groups"]} == {"student", "teacher"}
    found = inspected(mae, f"{path}#teacher")
    assert (found["format"], found["under"], found["num_tensors"]) == ("timm or official MAE", "teacher", 44)
    assert found["architecture"]["depth"] == 3
    assert mae("inspect", path).stdout.count("encoders") >= 2
    outcome = mae("inspect", f"{path}#coach")
    assert outcome.exit_code == 2
    assert "holds no encoder 'coach'; there is student, teacher" in outcome.stderr
