from __future__ import annotations

import json

import pytest
import yaml
from safetensors.torch import load_file

from maecli.models.lora import is_lora
from maecli.run.checkpoint import find_checkpoint
from tests.conftest import TOY_MODEL, TOY_RUN, call

pytestmark = pytest.mark.slow


def tensors(run, file="model.safetensors"):
    return load_file(find_checkpoint(run).path / file)


@pytest.fixture(scope="module")
def arguments(pictures, pretrained):
    """Return the arguments of a run with adapters, but where it goes."""
    data = ("--dataset", "folder", "--root", pictures, "--init", pretrained, "--set", "train.ema_decay=0.9")
    return ("finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN, *data, "--adapt", "lora", "--set", "adapt.rank=2")


@pytest.fixture(scope="module")
def adapted(arguments, tmp_path_factory):
    """Return a finished run with adapters. Not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "adapted"
    outcome = call(*arguments, "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    return run, outcome


def test_a_run_says_what_learns(adapted):
    run, outcome = adapted
    assert ", adapted by LoRA of rank 2" in json.loads((run / "summary.json").read_text())["init"]
    assert " parameters, of which " in outcome.stderr
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    layers = ["qkv", "proj", "fc1", "fc2"]
    assert spec["adapt"] == {"name": "lora", "rank": 2, "alpha": 16.0, "layers": layers, "dropout": 0.0}


def test_the_weights_of_the_blocks_keep_their_bits(adapted, pretrained):
    run, _ = adapted
    before, state = tensors(pretrained), tensors(run, "state.safetensors")
    learnt = {name.removeprefix("optim.exp_avg.") for name in state if name.startswith("optim.exp_avg.")}
    assert {name.rpartition(".")[2] for name in learnt} == {"lora_a", "lora_b", "weight", "bias"}
    assert all(is_lora(name) or "norm" in name or name.startswith("head.") for name in learnt)
    assert len(learnt & before.keys()) == 10


def test_what_builds_on_a_run_sees_the_weights_with_their_adapters(adapted, pictures, mae):
    run, _ = adapted
    outcome = mae("eval", run, "--probe", "knn", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--freeze",), "train.freeze lets the head alone learn, and adapt lets adapters in the encoder learn; leave "),
        (("--set", "parallel=fsdp"), "parallel fsdp cuts up what learns, and with adapt that is small; leave it out: "),
        (("--set", "adapt.layers=[query]"), "model vit: adapt.layers names query; the linear layers of its blocks: fc"),
        (("--set", "adapt.rang=2"), "unknown key 'adapt.rang'; did you mean 'rank'?; known: alpha, dropout, layers, "),
        (("--adapt", "dora"), "adapt.name is 'dora': input should be 'lora'"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, tmp_path, mae, settings, message):
    outcome = mae(*arguments, "--out", tmp_path / "run", *settings)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"mae: {message}")
    assert not (tmp_path / "run").exists()
