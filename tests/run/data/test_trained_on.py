from __future__ import annotations

import shutil

import pytest

from maecli.data.views.members import read_members
from maecli.registry import registry
from maecli.run.data.trained_on import trained_on
from maecli.run.restore import restore


@pytest.fixture(scope="module")
def restored(finetuned):
    return restore(finetuned, registry(), print, settings={"device": "cpu"})


@pytest.fixture(scope="module")
def train(finetuned):
    return set(read_members(finetuned / "splits.csv")["train"])


def keys_of(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))


def test_samples_of_training_are_known_by_their_place(restored, train, pictures):
    assert 0 < len(train) < len(keys_of(pictures))
    assert trained_on(restored, registry(), pictures, keys_of(pictures)) == train


def test_also_from_a_folder_below_and_from_one_above(restored, train, pictures):
    cats = {key.removeprefix("cat/") for key in train if key.startswith("cat/")}
    assert trained_on(restored, registry(), pictures / "cat", keys_of(pictures / "cat")) == cats
    keys = [f"{pictures.name}/{key}" for key in keys_of(pictures)]
    assert trained_on(restored, registry(), pictures.parent, keys) == {f"{pictures.name}/{key}" for key in train}


def test_copies_elsewhere_are_known_by_their_content_and_names_alone_say_nothing(restored, train, pictures, tmp_path):
    shutil.copytree(pictures / "cat", tmp_path / "copy")
    known = trained_on(restored, registry(), tmp_path / "copy", keys_of(tmp_path / "copy"))
    assert known == {key.removeprefix("cat/") for key in train if key.startswith("cat/")}
    for key in keys_of(tmp_path / "copy"):
        (tmp_path / "copy" / key).write_bytes(key.encode())
    assert not trained_on(restored, registry(), tmp_path / "copy", keys_of(tmp_path / "copy"))


def test_a_checkpoint_by_itself_tells_nothing(finetuned, pictures, tmp_path):
    shutil.copytree(finetuned / "checkpoints/step-000008", tmp_path / "alone")
    alone = restore(tmp_path / "alone", registry(), print, settings={"device": "cpu"})
    assert not trained_on(alone, registry(), pictures, keys_of(pictures))
