from __future__ import annotations

import json
import os
import shutil
import signal

import pytest
import torch
import yaml
from safetensors.torch import load_file

from maecli.models.vit import VisionTransformer
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.checkpoint import find_checkpoint
from maecli.run.restore import restore
from maecli.training import frozen as frozen_features
from maecli.training.loop import trainer

STILL = ("--set", "augment.flip=false", "--set", "augment.crop=none")
"""Settings under which nothing is augmented."""


def tensors(run, file="model.safetensors"):
    return load_file(find_checkpoint(run).path / file)


@pytest.fixture
def frozen(toy_finetune, pictures, tmp_path):
    """Return the arguments of a run with a frozen encoder, and where it goes."""
    data = ("--dataset", "folder", "--root", pictures, "--out", tmp_path / "run")
    return (*toy_finetune, *data, "--freeze"), tmp_path / "run"


@pytest.mark.slow
@pytest.mark.parametrize(("head", "learning"), [("linear", {"1"}), ("mlp", {"1", "3"})])
def test_the_encoder_keeps_its_bits_while_the_head_learns(frozen, pretrained, mae, head, learning):
    arguments, run = frozen
    settings = ("--head", head, "--init", pretrained, "--set", "model.drop_path=0.5", "--base-lr", 0.1)
    averaged = ("--set", "train.ema_decay=0.9", "--set", "train.layer_decay=0.5")
    outcome = mae(*arguments, *settings, *averaged)
    assert outcome.exit_code == 0, outcome.stderr
    before, after, state = tensors(pretrained), tensors(run), tensors(run, "state.safetensors")
    encoder = [name for name in after if name.startswith("encoder.")]
    assert len(encoder) == len([name for name in before if name.startswith("encoder.")])
    for name in encoder:
        assert torch.equal(before[name], after[name]), name
        assert torch.equal(before[name], state[f"raw.{name}"]), name
    names = {f"head.{layer}.{part}" for layer in learning for part in ("weight", "bias")}
    assert {name.removeprefix("optim.exp_avg.") for name in state if name.startswith("optim.exp_avg.")} == names
    assert after["head.1.weight"].abs().max() > 1e-2
    assert int(after["head.0.num_batches_tracked"]) == 8
    assert ", frozen" in json.loads((run / "summary.json").read_text())["init"]
    assert "of which " in outcome.stderr
    assert "random" not in outcome.stderr


@pytest.mark.slow
def test_without_weights_the_random_encoder_is_said_plainly(frozen, mae):
    arguments, run = frozen
    outcome = mae(*arguments, "--head", "linear")
    assert outcome.exit_code == 0, outcome.stderr
    assert (
        "baseline    without --init the frozen encoder is random: what a pretrained one has to beat\n" in outcome.stderr
    )
    assert "parameters, of which 34 learn, " in outcome.stderr  # 16 × 2 weights and 2 biases
    assert json.loads((run / "summary.json").read_text())["init"] == "random encoder, frozen"
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    assert (spec["train"]["freeze"], spec["task"]["head"], spec["task"]["head_norm"]) == (True, "linear", "auto")


@pytest.mark.slow
@pytest.mark.parametrize("changes", [("--set", "task.mixup=0.8"), STILL], ids=["pictures", "features computed once"])
def test_stopped_and_resumed_equals_never_stopped(frozen, pretrained, tmp_path, mae, monkeypatch, changes):
    arguments, whole = frozen
    settings = ("--init", pretrained, "--set", "train.ema_decay=0.9", *changes, "--base-lr", 0.1)
    assert mae(*arguments, *settings).exit_code == 0
    run, step = tmp_path / "stopped", trainer.Trainer.train_step

    def interrupted(self, batch) -> None:
        step(self, batch)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Trainer, "train_step", interrupted)
        assert mae(*arguments, *settings, "--out", run).exit_code == 130
    resumed = mae("finetune", "--resume", "--out", run)
    assert resumed.exit_code == 0, resumed.stderr
    assert f"resuming {run} at step 3 of 8" in resumed.stderr
    for file in ("model.safetensors", "state.safetensors"):
        mine, theirs = tensors(run, file), tensors(whole, file)
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


@pytest.mark.slow
def test_a_checkpoint_says_how_its_head_was_built(frozen, pictures, tmp_path, mae):
    arguments, run = frozen
    assert mae(*arguments).exit_code == 0
    built = restore(run, registry(), Progress().say)
    assert built.spec.train.freeze
    assert built.module.encoder.frozen
    assert [type(layer).__name__ for layer in built.module.head] == ["FeatureNorm", "Linear"]
    measured = mae("eval", run, "--json")
    assert measured.exit_code == 0, measured.stderr
    assert mae("infer", pictures, "--run", run, "--out", tmp_path / "out", "--workers", 0).exit_code == 0


@pytest.mark.slow
def test_the_norm_of_the_head_can_be_chosen(frozen, mae):
    arguments, run = frozen
    assert mae(*arguments, "--set", "task.head_norm=none").exit_code == 0
    assert {name for name in tensors(run) if name.startswith("head.")} == {"head.0.weight", "head.0.bias"}


@pytest.mark.slow
def test_a_rest_of_one_sample_does_not_stop_the_head(frozen, mae):
    arguments, _ = frozen
    outcome = mae(*arguments, "--set", "train.batch_size=9", "--micro-batch-size", 4, "--epochs", 1)
    assert outcome.exit_code == 0, outcome.stderr


def test_patches_are_not_left_out_for_a_frozen_encoder(frozen, mae):
    arguments, run = frozen
    outcome = mae(*arguments, "--set", "task.patch_drop=0.25")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        "mae: task.patch_drop 0.25 would hide patches from a frozen encoder, which works on whole pictures; give --set "
        "task.patch_drop=0 with --freeze\n"
    )
    assert not run.exists()


def test_pretraining_cannot_freeze_what_it_trains(toy_pretrain, pictures, mae):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--set", "train.freeze=true")
    assert outcome.exit_code == 2
    assert outcome.stderr == "mae: train.freeze is for mae finetune: pretraining is what trains the encoder\n"


@pytest.mark.slow
def test_the_first_blocks_keep_their_bits_while_the_rest_learns(toy_finetune, pictures, pretrained, tmp_path, mae):
    data, run = ("--dataset", "folder", "--root", pictures, "--out", tmp_path / "run"), tmp_path / "run"
    settings = ("--set", "train.ema_decay=0.9", "--set", "train.max_steps=2")
    outcome = mae(*toy_finetune, *data, "--init", pretrained, "--freeze-blocks", 2, *settings)
    assert outcome.exit_code == 0, outcome.stderr
    assert ", frozen up to block 2" in json.loads((run / "summary.json").read_text())["init"]
    before, after, state = tensors(pretrained), tensors(run), tensors(run, "state.safetensors")
    kept = [name for name in before if name.startswith("encoder.") and not name.startswith("encoder.norm.")]
    assert all(torch.equal(before[name], after[name]) for name in kept)
    learnt = {name.removeprefix("optim.exp_avg.") for name in state if name.startswith("optim.exp_avg.")}
    assert {name.rpartition(".")[0] for name in learnt} == {"encoder.norm", "head.0"}
    outcome = mae(*toy_finetune, *data, "--init", pretrained, "--freeze-blocks", 3, "--overwrite")
    assert (outcome.exit_code, outcome.stderr) == (
        2,
        "mae: model vit: train.freeze_blocks (3) must be at most 2, the number of its blocks\n",
    )
    outcome = mae(*toy_finetune, *data, "--freeze-blocks", 1, "--freeze", "--overwrite")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("mae: train.freeze keeps the whole encoder, and train.freeze_blocks (1) a part ")


@pytest.mark.slow
def test_segmentation_can_freeze_too(segmented, tmp_path, mae):
    outcome = mae(
        "finetune", "--config", segmented / "spec.yaml", "--freeze", "--head", "shuffle", "--out", tmp_path / "run"
    )
    assert outcome.exit_code == 0, outcome.stderr
    state = tensors(tmp_path / "run", "state.safetensors")
    assert all(name.split(".")[2] == "head" for name in state if name.startswith("optim."))


@pytest.fixture
def asked(monkeypatch):
    """Return how many pictures encoders have been asked about while a head learnt, as it grows."""
    sizes, forward = [], VisionTransformer.forward

    def counting(self, x, ids_keep=None, valid=None):
        sizes.append(len(x))
        return forward(self, x, ids_keep, valid)

    monkeypatch.setattr(VisionTransformer, "forward", counting)
    return sizes


def weights_of(run):
    return {name: value for name, value in tensors(run).items() if name.startswith("head.")}


@pytest.mark.slow
def test_what_nothing_augments_is_computed_once(frozen, pretrained, tmp_path, mae, asked):
    arguments, _ = frozen
    still = ("--init", pretrained, "--base-lr", 0.1, *STILL)
    outcome = mae(*arguments, *still)
    assert outcome.exit_code == 0, outcome.stderr
    assert "the features of the frozen encoder were computed once, since nothing is augmented\n" in outcome.stderr
    once = sum(asked)
    asked.clear()
    longer = mae(*arguments, *still, "--epochs", 9, "--out", tmp_path / "longer")
    assert longer.exit_code == 0, longer.stderr
    assert sum(asked) == once


@pytest.mark.slow
def test_features_computed_once_train_the_same_head(frozen, pretrained, tmp_path, mae, monkeypatch):
    arguments, run = frozen
    still = ("--init", pretrained, "--base-lr", 0.1, *STILL)
    still += ("--precision", "float32")
    assert mae(*arguments, *still).exit_code == 0
    monkeypatch.setattr(frozen_features, "MAX_BYTES", 0)
    each = mae(*arguments, *still, "--out", tmp_path / "each")
    assert each.exit_code == 0, each.stderr
    assert "computed once" not in each.stderr
    mine, theirs = weights_of(run), weights_of(tmp_path / "each")
    for name, value in mine.items():
        # Not the same bits: the encoder saw the samples in other batches.
        assert (value.float() - theirs[name].float()).norm() <= 0.001 * theirs[name].float().norm(), name
    assert mine["head.1.weight"].abs().max() > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    ["augment.flip=true", "augment.color=0.2", "augment.crop=pad", "augment.chain=[{name: Blur}]", "task.mixup=0.5"],
)
def test_whatever_changes_pictures_shows_them_to_the_encoder_each_time(frozen, mae, change):
    arguments, _ = frozen
    outcome = mae(*arguments, *STILL, "--set", change)
    assert outcome.exit_code == 0, outcome.stderr
    assert "computed once" not in outcome.stderr


@pytest.mark.slow
def test_where_files_cannot_be_read_others_stand_in_as_they_do_otherwise(frozen, pictures, tmp_path, mae):
    arguments, run = frozen
    broken = shutil.copytree(pictures, tmp_path / "broken")
    for path in sorted(path for path in broken.rglob("*") if path.is_file())[::2]:
        path.write_bytes(path.read_bytes()[:-60])  # the header is whole, so it is found out when it is read
    arguments = (*arguments, "--root", broken)
    size = json.loads(mae(*arguments, *STILL, "--dry-run", "--json").stdout)["train_samples"]
    outcome = mae(*arguments, *STILL, "--batch-size", size, "--epochs", 1)
    assert outcome.exit_code == 0, outcome.stderr
    assert (run / "summary.json").exists()


def test_a_dry_run_counts_the_one_pass_of_the_encoder(frozen, mae):
    arguments, run = frozen
    outcome = mae(*arguments, *STILL, "--epochs", 100, "--dry-run", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    facts = json.loads(outcome.stdout)
    assert facts["train_samples"] > 0
    assert facts["estimated_seconds"] >= round(facts["seconds_per_step"] * facts["total_steps"])
    assert not run.exists()
