from __future__ import annotations

import json
import os
import shutil
import signal

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from maecli.errors import MaeError
from maecli.models.lora import is_lora, merged
from maecli.registry import registry
from maecli.run.checkpoint import find_checkpoint
from maecli.run.restore import restore
from maecli.run.weights.initial import initial_weights
from maecli.training.checkpoint import checksum_of_tensors
from maecli.training.loop.trainer import Trainer
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
        (("--set", "adapt.layers=fc1, foo"), "model vit: adapt.layers names foo; the linear layers of its blocks: fc1"),
        (("--set", "adapt.rang=2"), "unknown key 'adapt.rang'; did you mean 'rank'?; known: alpha, dropout, layers, "),
        (("--adapt", "dora"), "adapt.name is 'dora': input should be 'lora'"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, tmp_path, mae, settings, message):
    outcome = mae(*arguments, "--out", tmp_path / "run", *settings)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"mae: {message}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("words", "key"), [(("--adapt", "lora"), "adapt"), (("--freeze-blocks", 1), "train.freeze")])
def test_random_weights_are_not_kept(toy_finetune, pictures, tmp_path, mae, words, key):
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--out", tmp_path / "run", *words)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"mae: {key}")
    assert "keeps weights of the encoder as they are, which are random without --init; give it, or" in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_holds_what_learns_and_names_the_rest(adapted, pretrained):
    run, _ = adapted
    model, state, base = tensors(run), tensors(run, "state.safetensors"), tensors(pretrained)
    record = find_checkpoint(run).metadata()["base"]
    assert record["source"] == str(find_checkpoint(pretrained).path)
    left_out = {name for name in base if name.startswith("encoder.") and "norm" not in name} - {"encoder.pos_embed"}
    assert {*record["tensors"]} - {"encoder.pos_embed"} == left_out
    assert record["checksum"] == checksum_of_tensors({name: base[name] for name in record["tensors"]})
    assert not left_out & model.keys()
    assert not {f"raw.{name}" for name in left_out} & state.keys()
    assert {name.removeprefix("raw.") for name in state if name.startswith("raw.")} == model.keys()


def test_what_uses_a_run_finds_the_weights_that_it_leaves_out(adapted, pictures, tmp_path, mae):
    run, _ = adapted
    before = json.loads((run / "evaluation/val.json").read_text())["metrics"][0]["value"]
    measured = mae("eval", run, "--split", "val", "--json", "--device", "cpu", "--precision", "float32")
    assert measured.exit_code == 0, measured.stderr
    assert json.loads((run / "evaluation/val.json").read_text())["metrics"][0]["value"] == before
    for verb, *settings in (("infer", "--out", tmp_path / "infer"), ("embed", "--out", tmp_path / "made.npy")):
        outcome = mae(verb, pictures, "--run", run, *settings, "--workers", 0)
        assert outcome.exit_code == 0, outcome.stderr
    inspected = mae("inspect", run)
    assert inspected.exit_code == 0, inspected.stderr
    assert "lora_a" in inspected.stdout
    assert "leaves out 20 tensors of the encoder, which are in " in inspected.stdout


def test_an_export_has_the_adapters_in_its_weights(adapted, tmp_path, mae):
    run, _ = adapted
    outcome = mae("export", run, "--format", "safetensors", "--out", tmp_path / "whole.safetensors")
    assert outcome.exit_code == 0, outcome.stderr
    module = merged(restore(run, registry(), lambda _: None).module)
    written = load_file(tmp_path / "whole.safetensors")
    assert written.keys() == module.state_dict().keys()
    assert all(torch.equal(written[name], each) for name, each in module.state_dict().items())
    with safe_open(tmp_path / "whole.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["mae"])["spec"]["adapt"] is None


def test_a_run_that_starts_from_one_with_adapters_gets_weights_with_them(adapted):
    run, _ = adapted
    weights, head = initial_weights(run, registry(), lambda _: None)
    module = merged(restore(run, registry(), lambda _: None).module)
    assert head is not None
    assert weights.tensors.keys() == module.encoder.state_dict().keys()
    assert all(torch.equal(weights.tensors[name], each) for name, each in module.encoder.state_dict().items())


def test_stopped_and_resumed_where_its_base_has_moved_equals_never_stopped(
    adapted, arguments, pretrained, tmp_path, mae, monkeypatch
):
    whole, _ = adapted
    base, moved, run, step = tmp_path / "base", tmp_path / "moved", tmp_path / "run", Trainer.train_step
    shutil.copytree(pretrained, base)

    def interrupted(self, batch) -> None:
        step(self, batch)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", interrupted)
        assert mae(*arguments, "--init", base, "--out", run).exit_code == 130
    base.rename(moved)
    resume = ("finetune", "--resume", "--out", run)
    with pytest.raises(MaeError, match=r"are not there; put them back there, or write the whole of it with mae export"):
        initial_weights(run, registry(), lambda _: None)
    gone, wrong, right = mae(*resume), mae(*resume, "--init", whole), mae(*resume, "--init", moved)
    way = "say where they are: --base PATH to use the run, --init PATH to resume it\n"
    path = f"{run}/checkpoints/step-000003"
    source = f"{base}/checkpoints/step-000008"
    assert (gone.exit_code, wrong.exit_code, right.exit_code) == (1, 2, 0), right.stderr
    assert gone.stderr.endswith(f"mae: {path} holds adapters alone, and the weights of {source} are not there; {way}")
    assert wrong.stderr.endswith(
        f"mae: {path} holds adapters of other weights than those of {whole}: their checksum is not that of {source}; "
        f"{way}"
    )
    for file in ("model.safetensors", "state.safetensors"):
        mine, theirs = tensors(run, file), tensors(whole, file)
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
    moved.rename(base)
    for verb in (("eval", run, "--split", "val"), ("export", run, "--format", "safetensors", "--samples", 1)):
        codes = [mae(*verb, *place).exit_code for place in ((), ("--base", whole), ("--base", base))]
        assert codes == [1, 2, 0]


def test_a_run_that_has_all_its_weights_needs_no_base(finetuned, pretrained, mae):
    outcome = mae("eval", finetuned, "--split", "val", "--base", pretrained)
    assert outcome.exit_code == 2
    assert "--base is for a run of adapters, and " in outcome.stderr
