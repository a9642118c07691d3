from __future__ import annotations

import pytest

from maecli.errors import SpecError
from maecli.sweep.address import address

BOTH = ("pretrain", "finetune")


@pytest.mark.parametrize(
    ("key", "full", "verbs"),
    [
        ("model.depth", "model.depth", BOTH),
        ("dataset.root", "dataset.root", BOTH),
        ("data.channels", "data.channels", BOTH),
        ("precision", "precision", BOTH),
        ("pretrain.train.epochs", "train.epochs", ("pretrain",)),
        ("pretrain.task.mask_ratio", "task.mask_ratio", ("pretrain",)),
        ("finetune.data.labels", "data.labels", ("finetune",)),
        ("finetune.model.drop_path", "model.drop_path", ("finetune",)),
    ],
)
def test_a_key_goes_to_the_verb_that_it_begins_with_or_to_both(key, full, verbs):
    assert address(key, BOTH) == (full, verbs)


@pytest.mark.parametrize("key", ["train.epochs", "augment.flip", "init", "task.head", "data.labels"])
def test_a_sweep_of_one_verb_takes_every_key(key):
    assert address(key, ("finetune",)) == address(f"finetune.{key}", ("finetune",)) == (key, ("finetune",))


@pytest.mark.parametrize("key", ["train.epochs", "task.mask_ratio", "task.name", "data.labels", "init"])
def test_a_key_that_lacks_its_verb_is_refused(key):
    with pytest.raises(SpecError) as caught:
        address(key, BOTH)
    assert str(caught.value) == f"{key} is for one verb at a time: write pretrain.{key} or finetune.{key}"


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("mask_ratio", "unknown key 'mask_ratio'; write a key of the spec, such as model.patch_size or pretrain.task."),
        ("pretrain.trian.epochs", "unknown key 'pretrain.trian.epochs'; did you mean 'train'?; write a key of the"),
        ("seed", "seed cannot be set here: seeds are given by --seeds, or by `seeds:`"),
        ("pretrain.out", "pretrain.out cannot be set here: each run has its directory in the sweep's; choose that by"),
    ],
)
def test_a_key_that_no_run_of_a_sweep_can_have_is_refused(key, sentence):
    with pytest.raises(SpecError) as caught:
        address(key, BOTH)
    assert str(caught.value).startswith(sentence)


def test_a_key_of_a_verb_that_is_not_done_is_refused():
    with pytest.raises(SpecError, match="is a key of mae pretrain, which this sweep does not do"):
        address("pretrain.train.epochs", ("finetune",))
