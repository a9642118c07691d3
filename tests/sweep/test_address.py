from __future__ import annotations

import pytest

from maecli.cli.sweep import words
from maecli.errors import SpecError
from maecli.sweep.address import address

BOTH = ("pretrain", "finetune")
OPTIONS = {"pretrain": {"mask_ratio", "norm", "shared"}, "finetune": {"head", "pool", "shared"}}


@pytest.mark.parametrize(
    ("key", "full", "verbs"),
    [
        ("mask_ratio", "task.mask_ratio", ("pretrain",)),
        ("task.mask_ratio", "task.mask_ratio", ("pretrain",)),
        ("task.norm", "task.norm", ("pretrain",)),
        ("head", "task.head", ("finetune",)),
        ("task.pool", "task.pool", ("finetune",)),
        ("task.name", "task.name", ("finetune",)),
        ("labels", "data.labels", ("finetune",)),
        ("data.labels", "data.labels", ("finetune",)),
        ("train.freeze", "train.freeze", ("finetune",)),
        ("patch_size", "model.patch_size", BOTH),
        ("model.depth", "model.depth", BOTH),
        ("dataset.root", "dataset.root", BOTH),
        ("data.channels", "data.channels", BOTH),
        ("precision", "precision", BOTH),
        ("pretrain.train.epochs", "train.epochs", ("pretrain",)),
        ("finetune.epochs", "train.epochs", ("finetune",)),
        ("finetune.model.drop_path", "model.drop_path", ("finetune",)),
        ("pretrain.task.shared", "task.shared", ("pretrain",)),
    ],
)
def test_a_key_goes_to_the_verb_that_it_is_meant_for(key, full, verbs):
    assert address(key, BOTH, words(), OPTIONS) == (full, verbs)


@pytest.mark.parametrize("key", ["train.epochs", "augment.flip", "init"])
def test_a_sweep_of_one_verb_takes_every_key(key):
    assert address(key, ("finetune",), words(), {"finetune": {"head"}}) == (key, ("finetune",))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            "train.epochs",
            "train.epochs means something else in each verb: write pretrain.train.epochs or finetune.train.epochs",
        ),
        ("epochs", "epochs means something else in each verb: write pretrain.train.epochs or finetune.train.epochs"),
        ("mask_ration", "unknown key 'mask_ration'; did you mean 'mask_ratio'?; write a key of the spec, such as"),
        ("pretrain.trian.epochs", "unknown key 'pretrain.trian.epochs'"),
        (
            "task.mask_ratioo",
            "unknown key 'task.mask_ratioo'; did you mean 'mask_ratio'?; the tasks of this sweep have",
        ),
        ("task.shared", "task.shared is an option of both tasks: write pretrain.task.shared or finetune.task.shared"),
        ("seed", "seed cannot be set here: seeds are given by --seeds, or by `seeds:`"),
        ("pretrain.out", "pretrain.out cannot be set here: each run has its directory in the sweep's; choose that by"),
        ("init", "init cannot be set here: fine-tunings start from the sweep's own pretrainings"),
    ],
)
def test_a_key_without_one_meaning_is_refused(key, said):
    with pytest.raises(SpecError) as caught:
        address(key, BOTH, words(), OPTIONS)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("key", ["mask_ratio", "pretrain.train.epochs"])
def test_a_key_of_a_verb_that_is_not_done_is_refused(key):
    with pytest.raises(SpecError, match=f"{key} is a key of mae pretrain, which this sweep does not do"):
        address(key, ("finetune",), words(), {"finetune": {"head"}})
