"""Files that hold several encoders, or one below other entries, in the forms in which they are published."""

from __future__ import annotations

import argparse

import pytest
import torch
from reference_models import hf_vit, timm_vit, torchvision_vit
from safetensors.torch import save_file

from maecli.errors import SpecError
from maecli.weights import choose
from maecli.weights.choose import encoder_names
from maecli.weights.files import read_weights, split_choice
from maecli.weights.formats import import_encoder


def vit(value, before="", make=timm_vit):
    """Return the tensors of a vision transformer, all of one value so that it can be told which it was."""
    return {before + name: torch.full_like(tensor, value) for name, tensor in make().state_dict().items()}


def dino():
    """As facebookresearch/dino's `main_dino.py` saves it."""
    head = {"head.last_layer.weight_g": torch.ones(4, 1)}
    return {
        "student": vit(1, "module.backbone.") | {f"module.{name}": tensor for name, tensor in head.items()},
        "teacher": vit(2, "backbone.") | head,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-3}]},
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small"),
        "dino_loss": {"center": torch.zeros(1, 8)},
    }


MOCO = {"arch": "vit", "state_dict": vit(1, "module.base_encoder.") | vit(2, "module.momentum_encoder.")}
SEVERAL = {
    "DINO": (dino, ("student", "teacher")),
    "MoCo v3": (lambda: MOCO, ("base_encoder", "momentum_encoder")),
    "timm with a mean": (lambda: {"state_dict": vit(1), "state_dict_ema": vit(2)}, ("state_dict", "state_dict_ema")),
    "DeiT with a mean": (lambda: {"model": vit(1), "model_ema": vit(2), "args": None}, ("model", "model_ema")),
    "I-JEPA": (
        lambda: {"encoder": vit(1, "module."), "target_encoder": vit(2, "module."), "predictor": {"x": torch.ones(1)}},
        ("encoder", "target_encoder"),
    ),
    "lightning, flat": (
        lambda: {"state_dict": vit(1, "student_backbone.") | vit(2, "teacher_backbone."), "epoch": 3},
        ("student_backbone", "teacher_backbone"),
    ),
    "lightning, flat, Hugging Face": (
        lambda: {"state_dict": vit(1, "student.vit.", hf_vit) | vit(2, "teacher.vit.", hf_vit)},
        ("student", "teacher"),
    ),
    "torchvision": (
        lambda: vit(1, "online.", torchvision_vit) | vit(2, "target.", torchvision_vit),
        ("online", "target"),
    ),
    "a list": (lambda: {"models": [vit(1), vit(2)]}, ("0", "1")),
    "one within the other": (lambda: vit(1) | vit(2, "ema."), (".", "ema")),
    "an entry beside plain names": (lambda: {**vit(1), "ema": vit(2)}, (".", "ema")),
    "deeply": (
        lambda: {"checkpoint": {"state_dict": {"a": {"net": vit(1)}, "b": {"net": vit(2)}}}},
        ("a", "b"),
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_encoders_one_has_to_be_chosen(name, tmp_path):
    make, names = SEVERAL[name]
    path = tmp_path / "x.pth"
    torch.save(make(), path)
    file = read_weights(path)
    assert encoder_names(file) == names
    with pytest.raises(SpecError) as caught:
        import_encoder(file)
    assert str(caught.value) == (
        f"{path} holds 2 encoders: {', '.join(names)}; choose one, by --init {path}#{names[0]} or "
        f"--init {path}#{names[1]}"
    )
    for value, choice in enumerate(names, 1):
        weights = import_encoder(file, choice)
        assert {float(tensor.max()) for key, tensor in weights.tensors.items() if "norm" in key} == {value}
        assert weights.depth == 3


ONE = {
    "student": ({"student": vit(1), "epoch": 3}, "student"),
    "backbone": ({"state_dict": vit(1, "backbone.")}, "state_dict.backbone"),
    "net": ({"net": vit(1, "module.")}, "net.module"),
    "model_ema": ({"model_ema": vit(1)}, "model_ema"),
    "teacher below": ({"state_dict": {"teacher": vit(1, "backbone.")}}, "state_dict.teacher.backbone"),
    "beside a convolutional network": ({"model": {"conv1.weight": torch.ones(3)}, "teacher": vit(1)}, "teacher"),
    "bare": (vit(1), ""),
}


@pytest.mark.parametrize("name", ONE)
def test_a_single_encoder_is_taken_wherever_it_is_and_named(name, tmp_path):
    content, where = ONE[name]
    path = tmp_path / "x.pth"
    torch.save(content, path)
    weights = import_encoder(read_weights(path))
    assert weights.source == (f"{path}#{where}" if where else str(path))
    again = import_encoder(read_weights(path), where or ".")
    assert again.source == weights.source
    assert again.num_others == weights.num_others == 2  # the classifier's


def test_safetensors_are_looked_through_too(tmp_path):
    save_file(vit(1, "student.") | vit(2, "teacher."), tmp_path / "x.safetensors")
    with pytest.raises(SpecError, match=r"holds 2 encoders: student, teacher; choose one"):
        import_encoder(read_weights(tmp_path / "x.safetensors"))


def test_a_name_that_none_has_is_told_with_those_there_are(tmp_path):
    path = tmp_path / "x.pth"
    torch.save(dino(), path)
    with pytest.raises(SpecError) as caught:
        import_encoder(read_weights(path), "techer")
    assert str(caught.value) == (
        f"{path} holds no encoder 'techer'; there is student, teacher, as in --init {path}#student"
    )
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(SpecError, match="holds no encoder that can be recognised, so none by the name 'teacher'"):
        import_encoder(read_weights(path), "teacher")


@pytest.mark.parametrize("choice", ["student", "student.module", "student.module.backbone", "module"])
def test_any_entry_that_tells_an_encoder_apart_names_it(choice, tmp_path):
    torch.save(dino(), tmp_path / "x.pth")
    assert import_encoder(read_weights(tmp_path / "x.pth"), choice).source.endswith("#student.module.backbone")


def test_a_name_that_several_have_leaves_the_choice_among_them(tmp_path):
    torch.save({"a": {"x": vit(1), "y": vit(2)}, "b": {"x": vit(3)}}, tmp_path / "x.pth")
    with pytest.raises(SpecError, match=r"holds 2 encoders: a.x, y; choose one"):
        import_encoder(read_weights(tmp_path / "x.pth"), "a")
    assert import_encoder(read_weights(tmp_path / "x.pth"), "a.x").source.endswith("#a.x")


def test_one_encoder_under_two_names_is_one(tmp_path):
    """A Lightning module that registers its network twice saves it twice."""
    torch.save({"state_dict": vit(1, "net.") | vit(1, "model.net.")}, tmp_path / "x.ckpt")
    assert import_encoder(read_weights(tmp_path / "x.ckpt")).source.endswith("x.ckpt#state_dict.net")


def test_many_encoders_are_named_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(choose, "MAX_NAMED", 2)
    torch.save({f"m{number}": vit(number) for number in range(3)}, tmp_path / "x.pth")
    with pytest.raises(SpecError, match=r"holds 3 encoders: m0, m1, …; choose one, by .*#m0 or .*#m1$"):
        import_encoder(read_weights(tmp_path / "x.pth"))


def test_entries_in_each_other_are_looked_through_once(tmp_path):
    """A hundred entries in each of a hundred … would be 100⁶; and one that holds itself."""
    entries = vit(1)
    for _ in range(10):
        entries = {str(number): entries for number in range(100)} | {"self": None}
        entries["self"] = entries
    torch.save(entries, tmp_path / "x.pth")
    with pytest.raises(Exception, match="holds no named tensors"):
        read_weights(tmp_path / "x.pth")


def test_a_file_whose_name_has_a_hash_is_itself(tmp_path):
    file = tmp_path / "vit#1.pth"
    file.touch()
    assert split_choice(file) == (file, "")
    assert split_choice(tmp_path / "vit#1.pth#teacher") == (file, "teacher")
    assert split_choice(tmp_path / "vit#1.pth#a#b") == (file, "a#b")
    assert split_choice(tmp_path / "none.pth#teacher") == (tmp_path / "none.pth#teacher", "")
