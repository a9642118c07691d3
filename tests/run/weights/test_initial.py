from __future__ import annotations

import argparse
import json
import os
import shutil

import pytest
import torch
import yaml
from reference_models import difference, hf_vit, inputs, official_mae, timm_tokens, timm_vit
from safetensors.torch import load_file, save_file
from write_data import write_mnist

from maecli.errors import SpecError
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.checkpoint import find_checkpoint
from maecli.run.restore import restore
from maecli.run.weights.initial import initial_weights, offered_spec
from maecli.training.checkpoint import MODEL

SMALL_DECODER = (
    "--set",
    "task.decoder_depth=1",
    "--set",
    "task.decoder_embed_dim=16",
    "--set",
    "task.decoder_num_heads=2",
)
QUICK = ("--device", "cpu", "--precision", "float32", "--workers", 0, "--batch-size", 8, "--set", "trackers=[jsonl]")
STILL = (
    *("--epochs", 1, "--base-lr", 1e-12, "--set", "train.min_lr=0", "--set", "train.weight_decay=0"),
    *("--set", "train.ema_decay=null", "--set", "train.warmup_epochs=0"),
)
"""Training that leaves the weights where they are."""


@pytest.fixture
def vit_file(tmp_path):
    """Return a file of timm's with a class token, 32×32 pixels, patches of 8."""
    torch.save(timm_vit().state_dict(), tmp_path / "vit.pth")
    return tmp_path / "vit.pth"


def finetune(mae, data, *arguments):
    return mae("finetune", "--task", "classify", "--dataset", "folder", "--root", data, *QUICK, *arguments)


def init_of(outcome):
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.json["init"]


def test_an_exported_file_is_no_weights_wherever_these_are_wanted(tmp_path):
    (tmp_path / "int8.onnx").write_bytes(b"\x08\x0a a graph")  # as of --base
    with pytest.raises(SpecError, match=r"int8.onnx is an exported file, whose weights are within its graph; give its"):
        initial_weights(tmp_path / "int8.onnx", registry(), print)


@pytest.mark.slow
def test_a_file_gives_its_shape_and_weights_to_a_run(pictures, vit_file, tmp_path, mae):
    out = tmp_path / "run"
    outcome = finetune(
        mae, pictures, "--init", vit_file, "--out", out, *STILL, "--img-size", 32, "--set", "model.num_heads=4"
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert "(timm or official MAE): 42 tensors matched, 0 adapted, 0 new, 2 left over (decoder or head)" in " ".join(
        outcome.stderr.split()
    )
    model = yaml.safe_load((out / "spec.yaml").read_text())["model"]
    expected = {"patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4, "mlp_ratio": 1.5, "layer_scale": None}
    assert {key: model[key] for key in expected} == expected
    built = restore(out, registry(), Progress().say)
    x = inputs(32, 32)
    encoder = built.module.get_submodule("encoder").eval()
    with torch.no_grad():
        assert difference(encoder(x), timm_tokens(timm_vit(), x)) <= 1e-4


def test_heads_that_are_not_recorded_are_said_to_be_taken(pictures, vit_file, mae):
    said = init_of(finetune(mae, pictures, "--init", vit_file, "--img-size", 32, "--dry-run", "--json"))
    assert said.endswith("the file does not record its attention heads, 1 are taken (--set model.num_heads=…)")


@pytest.mark.slow
def test_a_hugging_face_folder_gives_its_heads_too(pictures, tmp_path, mae):
    hf_vit().save_pretrained(tmp_path / "hf")
    said = init_of(finetune(mae, pictures, "--init", tmp_path / "hf", "--img-size", 48, "--dry-run", "--json"))
    assert said.startswith(f"encoder from {tmp_path / 'hf' / MODEL} (Hugging Face ViT): 41 tensors matched, 1 adapted")
    assert said.endswith("(pos_embed 4×4 to 6×6), 0 new, 2 left over (decoder or head)")  # the pooler's


@pytest.mark.slow
def test_an_official_checkpoint_can_be_pretrained_on(pictures, tmp_path, mae):
    torch.save({"model": official_mae(), "args": argparse.Namespace(lr=1e-3)}, tmp_path / "mae.pth")
    sizes = ("--img-size", 32, "--patch-size", 4, "--dry-run", "--json", *SMALL_DECODER)
    said = init_of(
        mae("pretrain", "--dataset", "folder", "--root", pictures, *QUICK, "--init", tmp_path / "mae.pth", *sizes)
    )
    assert "(official MAE): 40 tensors matched, 2 adapted (pos_embed 4×4 to 8×8, patch_embed 8×8 to 4×4), 0 new" in said
    assert "8 left over (decoder or head)" in said


def test_a_malicious_file_stops_the_run_and_runs_nothing(pictures, tmp_path, mae):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'trace'}",)

    torch.save({"model": timm_vit().state_dict(), "args": Evil()}, tmp_path / "evil.pth")
    outcome = finetune(mae, pictures, "--init", tmp_path / "evil.pth")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"mae: {tmp_path / 'evil.pth'} calls for posix.system, which weights do not need")
    assert not (tmp_path / "trace").exists()


@pytest.fixture
def dino(tmp_path):
    state = timm_vit().state_dict()
    entries = {"student": ("module.backbone.", 1), "teacher": ("backbone.", 2)}
    content = {
        name: {before + key: tensor * factor for key, tensor in state.items()}
        for name, (before, factor) in entries.items()
    }
    torch.save(content, tmp_path / "dino.pth")
    return tmp_path / "dino.pth"


def test_of_several_encoders_in_a_file_one_is_asked_for(pictures, dino, mae):
    outcome = finetune(mae, pictures, "--init", dino)
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: {dino} holds 2 encoders: student, teacher; choose one, by --init {dino}#student or "
        f"--init {dino}#teacher\n"
    )
    outcome = finetune(mae, pictures, "--init", f"{dino}#coach")
    assert (outcome.exit_code, outcome.stderr) == (
        2,
        f"mae: {dino} holds no encoder 'coach'; there is student, teacher, as in --init {dino}#student\n",
    )


@pytest.mark.slow
def test_the_encoder_that_is_chosen_is_taken_said_and_kept_in_the_spec(pictures, dino, tmp_path, mae):
    out = tmp_path / "run"
    outcome = finetune(mae, pictures, "--init", f"{dino}#teacher", "--out", out, *STILL, "--img-size", 32)
    assert outcome.exit_code == 0, outcome.stderr
    assert yaml.safe_load((out / "spec.yaml").read_text())["init"] == f"{dino}#teacher"
    assert json.loads((out / "summary.json").read_text())["init"].startswith(f"encoder from {dino}#teacher.backbone (")
    taken = load_file(find_checkpoint(out).path / MODEL)["encoder.norm.weight"]
    assert difference(taken, 2 * timm_vit().state_dict()["norm.weight"]) <= 1e-4
    again = mae("finetune", "--config", out / "spec.yaml", "--out", tmp_path / "again", "--dry-run", "--json")
    assert init_of(again).startswith(f"encoder from {dino}#teacher.backbone (")


def test_a_file_that_a_choice_names_is_not_in_the_way_of_its_run(pictures, dino, mae):
    outcome = finetune(mae, pictures, "--init", f"{dino}#teacher", "--out", dino.parent, "--overwrite")
    assert outcome.exit_code == 2
    assert f"--init {dino} lies in --out {dino.parent}" in outcome.stderr


def test_a_run_of_ours_holds_one_encoder(pretrained, mae):
    outcome = mae("finetune", "--task", "classify", *QUICK, "--init", f"{pretrained}#teacher")
    assert (outcome.exit_code, outcome.stderr) == (
        2,
        f"mae: {pretrained} was written by mae and holds one encoder; give it without #teacher\n",
    )
    said = init_of(
        mae("finetune", "--task", "classify", *QUICK, "--init", f"{pretrained}#encoder", "--dry-run", "--json")
    )
    assert said.startswith(f"encoder from {find_checkpoint(pretrained).path}")


def test_a_model_that_was_named_and_does_not_fit_is_one_sentence(pictures, vit_file, mae):
    outcome = finetune(mae, pictures, "--init", vit_file, "--model", "vit-tiny", "--set", "model.embed_dim=192")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: --init {vit_file}: 0 of 42 encoder tensors match, 42 do not, 42 are left over (first: cls_token "
        "1×1×32 instead of 1×1×192); use the model of that file, or --init-partial to start the rest anew\n"
    )


def test_grey_pictures_of_another_size_start_from_a_run_on_colour_ones(pretrained, tmp_path, mae):
    write_mnist(tmp_path / "mnist", 120, 20)
    said = init_of(
        mae(
            *("finetune", "--task", "classify", "--dataset", "mnist", "--root", tmp_path / "mnist", *QUICK),
            *("--init", pretrained, "--img-size", 28, "--patch-size", 2, "--dry-run", "--json"),
        )
    )
    assert "28 tensors matched, 2 adapted (" in said
    assert "pos_embed 4×4 to 14×14" in said
    assert "patch_embed 4×4 to 2×2, 3 channels to 1" in said
    assert "0 new" in said


@pytest.mark.slow
def test_other_blocks_start_anew_when_that_is_asked_for(pretrained, tmp_path, mae):
    out = tmp_path / "run"
    outcome = mae(
        *("finetune", "--task", "classify", "--init", pretrained, "--init-partial", "--out", out, *QUICK, *STILL),
        *("--set", "model.depth=3"),
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert "30 tensors matched, 0 adapted, 12 new (blocks.2.norm1.weight, " in " ".join(outcome.stderr.split())
    before, after = (load_file(find_checkpoint(run).path / MODEL) for run in (pretrained, out))
    torch.testing.assert_close(before["encoder.norm.bias"], after["encoder.norm.bias"])
    assert yaml.safe_load((out / "spec.yaml").read_text())["init_partial"] is True


def test_a_checkpoint_of_ours_is_known_by_what_it_says_wherever_it_lies(pretrained, tmp_path):
    source = find_checkpoint(pretrained).path / MODEL
    copy = shutil.copy(source, tmp_path / "encoder.safetensors")
    for path in (pretrained, source.parent, source, copy):
        assert offered_spec(path)["dataset"]["name"] == "folder"
        weights, _ = initial_weights(path, registry(), Progress().say)
        assert (weights.format, weights.grid, weights.in_chans, weights.num_heads) == ("", (4, 4), 3, 2)
    assert weights.source == str(copy)


def test_reading_an_encoder_leaves_the_random_numbers_alone(pretrained):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    initial_weights(pretrained, registry(), Progress().say)
    assert torch.rand(3).equal(expected)


def test_the_state_beside_a_checkpoint_is_no_encoder(pretrained, mae):
    state = find_checkpoint(pretrained).path / "state.safetensors"
    outcome = mae("finetune", "--task", "classify", "--init", state)
    assert outcome.exit_code == 2
    assert "holds no vision transformer that can be recognised by its" in outcome.stderr


def test_a_truncated_file_is_one_sentence(tmp_path, mae):
    save_file({name: tensor.contiguous() for name, tensor in hf_vit().state_dict().items()}, tmp_path / "whole")
    cut = tmp_path / "model.safetensors"
    cut.write_bytes((tmp_path / "whole").read_bytes()[:-100])
    outcome = mae("finetune", "--task", "classify", "--dataset", "folder", "--init", cut)
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"mae: {cut} cannot be read as safetensors (")
    assert outcome.stderr.count("\n") == 1


def test_what_is_not_there_is_told(tmp_path, mae):
    outcome = mae("finetune", "--task", "classify", "--dataset", "folder", "--init", tmp_path / "none")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"mae: {tmp_path / 'none'} does not exist; give a run directory, a checkpoint folder or a file of weights\n"
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, "whose spec is no dict"),
        ({"data": {}, "dataset": {"name": "digits"}, "model": 5}, "without spec.model.name"),
        ({"data": {}, "dataset": {}, "model": {"name": "vit"}}, "without spec.dataset.name"),
        ({"dataset": {"name": "digits"}, "model": {"name": "vit"}}, "without spec.data"),
    ],
)
def test_a_record_of_another_shape_is_told_by_its_part(spec, said, tmp_path, mae):
    path = tmp_path / "x.safetensors"
    save_file({"encoder.norm.weight": torch.ones(4)}, path, {"mae": json.dumps({"format_version": 1, "spec": spec})})
    outcome = mae("finetune", "--task", "classify", "--dataset", "digits", "--init", path, "--dry-run")
    assert outcome.exit_code == 1
    assert f"{path} has metadata of mae {said}" in outcome.stderr
