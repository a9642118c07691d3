"""One way from a spec to its data: each split is made when it is needed, and what it leaves out is told then."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from cards import card

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.labels import TrainingPart
from maecli.data.sample import TensorSplit
from maecli.errors import DataError, Fault, SpecError
from maecli.outputs.faults import Faults
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.open import Data, as_measured, check_split
from maecli.run.restore import restore, restore_encoder
from maecli.schema import PretrainSpec

SIZES = {"train": 3, "val": 2, "test": 0}


class Leaky(Dataset):
    """Finds one more broken file with each split that it makes."""

    name = "leaky"

    def __init__(self, options):
        super().__init__(options)
        self.made = []

    def card(self, fields=("image",)):
        return DataCard(
            name="leaky",
            title="Leaky",
            channels=1,
            size=[4, 4],
            mean=[0.5],
            std=[0.5],
            fields=["image"],
            split_sizes=SIZES,
            split_origin="made up",
        )

    def split(self, name, fields=("image",)):
        self.made.append(name)
        return TensorSplit({"image": torch.zeros(SIZES[name], 1, 4, 4)})

    def faults(self):
        return [Fault(f"{name}.png", "empty file") for name in self.made]


def opened(**data):
    spec = PretrainSpec.model_validate(
        {"dataset": {"name": "leaky"}, "task": {"name": "none"}, "model": {"name": "none"}, "data": data}
    )
    return Data(spec, SimpleNamespace(dataset=lambda name: Leaky), ("image",), Faults(strict=spec.data.strict))


def test_nothing_is_opened_before_it_is_needed_and_a_split_is_made_once():
    data = opened()
    assert data.split("val") is data.split("val")
    assert data.dataset.made == ["val"]
    assert isinstance(data.training, TrainingPart)
    assert data.split("train") is data.training.split
    assert data.dataset.made == ["val", "train"]


def test_what_making_any_split_shows_is_told_once():
    data = opened()
    assert [*data.faults] == []
    data.split("train")
    assert [*map(str, data.faults)] == ["train.png: empty file"]
    data.split("val")
    assert [*map(str, data.faults)] == ["train.png: empty file", "val.png: empty file"]


def test_strict_data_end_with_the_split_that_shows_a_fault():
    with pytest.raises(DataError, match=r"val\.png: empty file; mend or remove it, or go without --strict"):
        opened(strict=True).split("val")


def test_an_empty_split_is_refused_where_samples_are_needed():
    data = opened()
    assert len(data.split("test")) == 0
    with pytest.raises(DataError, match=r"leaky has no test samples with image; it has {'train': 3, 'val': 2, "):
        data.samples("test")


def test_a_word_that_is_no_split_is_refused():
    with pytest.raises(SpecError, match="split 'tset' is none of train, val, test; did you mean 'test'"):
        check_split("tset")


def test_settings_lie_over_the_recorded_spec(pretrained):
    restored = restore_encoder(pretrained, registry(), Progress().say, settings={"seed": 7, "data.strict": True})
    assert (restored.spec.seed, restored.spec.data.strict) == (7, True)
    with pytest.raises(SpecError, match=r"precision is 'float16': input should be 'auto', 'float32' or 'bf16'"):
        restore_encoder(pretrained, registry(), Progress().say, settings={"precision": "float16"})


def test_a_restored_run_opens_its_data_where_they_are_needed(pretrained, tmp_path):
    restored = restore(pretrained, registry(), Progress().say, settings={"dataset.root": tmp_path / "gone"})
    with pytest.raises(DataError, match="gone"):
        restored.loader("test")


def test_a_run_that_goes_on_has_what_was_measured_and_the_classes_of_now():
    facts = {"classes": ("cat", "dog"), "class_counts": (3, 4), "mask_classes": ("a",), "mask_palette": ((0, 0, 0),)}
    recorded = card(**facts, mean=(0.5,))
    assert as_measured(card(**facts), recorded) == recorded
    now = card(
        classes=("cat", "dog", "fox"),
        class_counts=(1, 1, 9),
        multi_label=True,
        mask_classes=("b", "c"),
        mask_palette=((0, 0, 0),) * 2,
        void=7,
        background=0,
    )
    changed = as_measured(now, recorded)
    assert changed == now.model_copy(update={"mean": (0.5,)})
    assert DataCard.model_validate(changed.model_dump()) == changed
