"""The head of a run that starts from another one: rows of classes that both know by name."""

from __future__ import annotations

import pytest
import torch
from cards import card
from classifying import encoder
from safetensors.torch import load_file
from write_data import write_class_folders

from maecli.errors import MaeError
from maecli.modalities.modality import Modality
from maecli.modalities.preprocess import Preprocess
from maecli.registry import registry
from maecli.run.checkpoint import find_checkpoint
from maecli.run.weights.initial_head import RecordedHead, keep_head
from maecli.training.checkpoint import MODEL


def task_of(name="classify", **facts):
    """Return a task on pictures of 8 × 8 with these classes, and the options that are not the default."""
    options = facts.pop("options", {})
    if "mask_classes" in facts:
        facts["mask_palette"] = ((0, 0, 0),) * len(facts["mask_classes"])
    plugin, data = registry().task(name), card(**facts, size=(8, 8))
    modality: Modality = registry().modality("pictures")()
    preprocess = Preprocess.of(data, (8, 8), 1, (0.5,), (0.5,), modality, "resize")
    return plugin(plugin.Options(**options), data, preprocess)


def recorded(task, **changes):
    """Return the head of a run that learnt a task, each number of which is another, and its tensors."""
    tensors = {
        name: torch.arange(tensor.numel(), dtype=torch.float32).reshape(tensor.shape) + 1
        for name, tensor in task.build(encoder()).state_dict().items()
        if not name.startswith("encoder.")
    }
    facts = {"task": task.name, "options": task.options.model_dump(mode="json"), "card": task.card}
    return RecordedHead(source="run", **facts | {"tensors": tensors} | changes)


def beside_encoder(module):
    return {name: value.clone() for name, value in module.state_dict().items() if not name.startswith("encoder.")}


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several"])
def test_rows_of_classes_that_are_known_by_name_are_kept(several):
    old = recorded(task_of(classes=("cat", "dog", "emu"), multi_label=several))
    task = task_of(classes=("ape", "dog", "CAT", "fox", "yak"), multi_label=several)
    module = task.build(encoder())
    before = beside_encoder(module)
    kept = keep_head(task, module, old)
    assert kept == ("head: 2 of 5 classes known by name (dog, CAT as cat) keep their rows; 3 are new", 2)
    for name, after in beside_encoder(module).items():
        torch.testing.assert_close(after[[1, 2]], old.tensors[name][[1, 0]])
        torch.testing.assert_close(after[[0, 3, 4]], before[name][[0, 3, 4]])


def test_what_all_classes_share_is_kept_with_them():
    options = {"head": "mlp"}
    old = recorded(task_of(classes=("cat", "dog"), options=options))
    task = task_of(classes=("dog", "cat", "fox"), options=options)
    module = task.build(encoder())
    assert keep_head(task, module, old).num_tensors == 4
    torch.testing.assert_close(module.state_dict()["head.0.weight"], old.tensors["head.0.weight"])


@pytest.mark.parametrize("head", ["conv", "upernet"])
def test_classes_of_masks_keep_theirs(head):
    options = {"head": head}
    old = recorded(task_of("segment", mask_classes=("background", "cat", "dog"), options=options))
    task = task_of("segment", mask_classes=("dog", "background"), options=options)
    module = task.build(encoder())
    assert keep_head(task, module, old).words == "head: 2 of 2 classes known by name (dog, background) keep their rows"
    rows = module.state_dict()["head.classify.weight"]
    torch.testing.assert_close(rows, old.tensors["head.classify.weight"][[2, 0]])


TWO = {"classes": ("cat", "dog")}
MASKS = {"mask_classes": ("background", "cat")}


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        pytest.param(("classify", TWO), ("segment", MASKS), "run learnt the task classify", id="task"),
        pytest.param(
            ("classify", TWO | {"multi_label": True}),
            ("classify", TWO),
            "run learnt several labels per sample",
            id="several",
        ),
        pytest.param(
            ("classify", TWO), ("classify", TWO | {"multi_label": True}), "run learnt one label per sample", id="one"
        ),
        pytest.param(
            ("classify", TWO),
            ("classify", TWO | {"options": {"head": "mlp"}}),
            "that of run has another form",
            id="kind",
        ),
        pytest.param(
            ("classify", TWO),
            ("classify", TWO | {"options": {"head_norm": "batch"}}),
            "that of run has another form",
            id="norm",
        ),
        pytest.param(
            ("segment", MASKS | {"options": {"head": "shuffle"}}),
            ("segment", {"mask_classes": ("background", "cat", "dog"), "options": {"head": "shuffle"}}),
            "that of run has another form",
            id="width",
        ),
        pytest.param(
            ("classify", TWO),
            ("classify", {"classes": ("hen", "fox")}),
            "none of its classes is known to run",
            id="classes",
        ),
        pytest.param(
            ("classify", TWO),
            ("classify", {"classes": ("cat", "cat", "dog")}),
            "a name stands for two classes",
            id="names",
        ),
    ],
)
def test_a_head_that_means_something_else_stays_new(before, now, reason):
    old, task = recorded(task_of(before[0], **before[1])), task_of(now[0], **now[1])
    module = task.build(encoder())
    own = beside_encoder(module)
    assert keep_head(task, module, old) == (f"head: new, since {reason}", 0)
    for name, tensor in beside_encoder(module).items():
        assert torch.equal(tensor, own[name])


def test_a_head_on_other_tokens_is_another_one():
    old = recorded(task_of(**TWO), options={"pool": "cls"})
    task = task_of(**TWO)
    words = keep_head(task, task.build(encoder()), old).words
    assert words == "head: new, since task.pool is mean, and was cls in run"


def test_a_task_without_rows_says_nothing_of_its_head():
    task = task_of("reconstruct")
    assert keep_head(task, task.build(encoder()), recorded(task_of(**TWO))) == ("", 0)


def test_weights_that_are_not_finite_are_refused():
    task = task_of(**TWO)
    old = recorded(task)
    old.tensors["head.0.bias"][0] = torch.nan
    with pytest.raises(MaeError, match=r"run holds NaN or infinite weights \(first in head.0.bias\)"):
        keep_head(task, task.build(encoder()), old)


@pytest.mark.parametrize(
    "metadata",
    [{"verb": "pretrain"}, {"verb": "finetune"}, {"verb": "finetune", "spec": {"task": {"name": "x"}}, "card": {}}],
    ids=["pretrained", "no record", "no card"],
)
def test_what_is_no_head_is_none(metadata):
    assert RecordedHead.read(metadata, {"head.0.bias": torch.zeros(2)}, "run") is None


STILL = (
    *("--base-lr", "1e-12", "--set", "train.min_lr=0", "--set", "train.weight_decay=0"),
    *("--set", "train.ema_decay=null", "--set", "train.warmup_epochs=0", "--epochs", "1"),
)


@pytest.mark.slow
def test_transfer_to_other_classes_says_which_it_knows(finetuned, toy_finetune, tmp_path, mae):
    write_class_folders(tmp_path / "more", ("ape", "cat", "dog"))
    out = tmp_path / "run"
    data = ("--dataset", "folder", "--root", tmp_path / "more", "--out", out)
    outcome = mae(*toy_finetune, *data, *STILL, "--init", finetuned)
    assert outcome.exit_code == 0, outcome.stderr
    said = " ".join(outcome.stderr.split())
    assert "0 left over; head: 2 of 3 classes known by name (cat, dog) keep their rows; 1 is new" in said
    before, after = (load_file(find_checkpoint(run).path / MODEL) for run in (finetuned, out))
    torch.testing.assert_close(after["head.0.weight"][1:], before["head.0.weight"])


@pytest.mark.slow
def test_a_frozen_encoder_and_a_new_head_are_said(segmented, toy_finetune, pictures, mae):
    data = ("--dataset", "folder", "--root", pictures, "--freeze", "--init", segmented, "--dry-run", "--json")
    said = mae(*toy_finetune, *data).json["init"]
    step = find_checkpoint(segmented).path
    assert said.endswith(f"2 left over (decoder or head), frozen; head: new, since {step} learnt the task segment")


@pytest.mark.slow
def test_pretraining_keeps_no_head(finetuned, pictures, toy_pretrain, mae):
    data = ("--dataset", "folder", "--root", pictures, "--init", finetuned, "--dry-run", "--json")
    assert mae(*toy_pretrain, *data).json["init"].endswith("2 left over (decoder or head)")
