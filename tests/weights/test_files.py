from __future__ import annotations

import argparse
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from maecli.errors import MaeError, SpecError
from maecli.weights.files import read_weights

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3)}
KINDS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def save(path: Path, content: object, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def problem(path: Path) -> str:
    with pytest.raises(MaeError) as caught:
        read_weights(path)
    return str(caught.value)


class Runs:
    """What unpickles to the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@KINDS
@pytest.mark.parametrize("under", ["", "model", "state_dict"])
def test_the_tensors_of_a_torch_file_are_found_where_they_are(under, zipped, tmp_path):
    state = {"a.weight": torch.nn.Parameter(STATE["a.weight"])}
    file = read_weights(save(tmp_path / "vit.pth", {under: state, "epoch": 3} if under else state, zipped))
    assert (file.kind, file.under, file.beside) == ("torch", under, {"epoch": 3} if under else {})
    assert file.tensors["a.weight"].equal(STATE["a.weight"])
    assert not file.tensors["a.weight"].requires_grad


@KINDS
def test_the_arguments_of_an_official_checkpoint_are_admitted(zipped, tmp_path):
    """`main_pretrain.py` saves its `argparse.Namespace`, the optimizer and the scaler beside the model."""
    checkpoint = {
        "model": STATE,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "epoch": 799,
        "scaler": {"scale": 65536.0},
        "args": argparse.Namespace(blr=1.5e-4, model="mae_vit_base_patch16", device="cuda", betas=(0.9, 0.95)),
    }
    file = read_weights(save(tmp_path / "checkpoint-799.pth", checkpoint, zipped))
    assert list(file.tensors) == ["a.weight"]
    assert file.beside == {
        "optimizer": "dict of 2",
        "epoch": 799,
        "scaler": "dict of 1",
        "args": {"blr": 1.5e-4, "model": "mae_vit_base_patch16", "device": "cuda", "betas": [0.9, 0.95]},
    }


@KINDS
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "touch {}", "posix.system"),
        (eval, "__import__('pathlib').Path({!r}).touch()", "eval"),
        (shutil.copy, "/dev/null {}", "shutil.copy"),
    ],
)
def test_a_file_that_calls_for_anything_else_is_refused_by_name_and_runs_nothing(
    function, argument, name, zipped, tmp_path
):
    trace = tmp_path / "trace"
    evil = save(tmp_path / "evil.pth", {"model": STATE, "args": Runs(function, argument.format(str(trace)))}, zipped)
    said = problem(evil)
    assert said.startswith(f"{evil} calls for {name}")
    assert said.endswith(
        "which weights do not need: refused, and nothing of the file was run; save its state dict alone, as "
        "safetensors or by torch.save(model.state_dict(), path)"
    )
    assert not trace.exists()


def test_whole_modules_are_refused(tmp_path):
    said = problem(save(tmp_path / "model.pth", torch.nn.Linear(2, 2)))
    assert "calls for torch.nn.modules.linear.Linear, which weights do not need" in said


@pytest.mark.parametrize("content", [[torch.zeros(2)], torch.zeros(2), {"epoch": 3}, {"model": {"lr": 0.1}}])
def test_a_torch_file_without_named_tensors_is_told(content, tmp_path):
    path = save(tmp_path / "odd.pth", content)
    assert problem(path) == f"{path} holds no named tensors; save a state dict: torch.save(model.state_dict(), path)"


def test_a_torchscript_archive_is_refused_as_a_program(tmp_path):
    archive = tmp_path / "scripted.pt"
    save(tmp_path / "plain.pt", STATE)
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(archive, "w") as scripted:
        for entry in plain.infolist():
            scripted.writestr(entry.filename, plain.read(entry))
        scripted.writestr(f"{plain.infolist()[0].filename.split('/')[0]}/constants.pkl", b"")
    assert problem(archive).startswith(f"{archive} is a TorchScript archive, which is a program; save its state dict")


@pytest.mark.parametrize("kept", [9, 60, -10])
def test_truncated_safetensors_are_told_in_one_sentence(kept, tmp_path):
    save_file(STATE, tmp_path / "whole")
    path = tmp_path / "cut.safetensors"
    path.write_bytes((tmp_path / "whole").read_bytes()[:kept])
    said = problem(path)
    assert said.startswith(f"{path} cannot be read as safetensors (")
    assert said.endswith("); it may be cut short: fetch it again")
    assert "\n" not in said


@KINDS
def test_truncated_torch_files_are_told_in_one_sentence(zipped, tmp_path):
    whole = save(tmp_path / "whole.pth", STATE, zipped).read_bytes()
    path = tmp_path / "cut.pth"
    for kept in (5, 50, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:kept])
        said = problem(path)
        assert said.startswith(f"{path} is neither safetensors nor a file of torch.save that can be read")
        assert said.endswith("it may be cut short: fetch it again, or save its state dict alone")
        assert "\n" not in said


def test_an_empty_file_is_told(tmp_path):
    (tmp_path / "empty").touch()
    assert problem(tmp_path / "empty") == f"{tmp_path / 'empty'} is empty; it may be cut short: fetch it again"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer of Git LFS and not the"),
        ("<!DOCTYPE html><html></html>", "is a web page and not weights; fetch the file itself"),
        ("<html><body></body></html>", "is a web page and not weights; fetch the file itself"),
    ],
    ids=["lfs", "doctype", "html"],
)
def test_what_was_fetched_in_the_place_of_weights_is_told(content, said, tmp_path):
    (tmp_path / "vit.pth").write_text(content)
    assert said in problem(tmp_path / "vit.pth")


def test_a_folder_stands_for_the_weights_in_it(tmp_path):
    with pytest.raises(SpecError) as caught:
        read_weights(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is neither a run directory nor a folder with model.safetensors or pytorch_model.bin"
    )
    save(tmp_path / "pytorch_model.bin", STATE)
    assert read_weights(tmp_path).kind == "torch"
    save_file(STATE, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text('{"hidden_size": 32}')
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5]}')
    file = read_weights(tmp_path)
    assert (file.kind, file.config, file.beside) == ("safetensors", {"hidden_size": 32}, {"format": "pt"})
    assert file.pixels == {"image_mean": [0.5]}


def test_a_folder_with_weights_of_another_name_tells_which(tmp_path):
    save(tmp_path / "vit.pth", STATE)
    with pytest.raises(SpecError, match=r"model.safetensors or pytorch_model.bin; it has vit.pth, of which one can be"):
        read_weights(tmp_path)


def test_a_broken_config_is_told(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")
    assert problem(tmp_path).startswith(f"{tmp_path / 'config.json'} is not valid JSON (")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(SpecError) as caught:
        read_weights(tmp_path / "none.pth")
    assert str(caught.value) == (
        f"{tmp_path / 'none.pth'} does not exist; give a run directory, a checkpoint folder or a file of weights"
    )
