from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from toy_dataset import shapes

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.labels import choose, class_counts, labels_by_key, training_part
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.errors import BrokenSample, SpecError

KEYS = [f"{i:04d}.png" for i in range(1000)]
LABELS = [np.array(0 if i < 700 else 1 if i < 995 else 2) for i in range(1000)]
"""700 of the first class, 295 of the second, 5 of the third."""


def counts(chosen):
    return Counter(int(LABELS[i]) for i in chosen)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("1%", {0: 7, 1: 3, 2: 1}),
        ("10%", {0: 70, 1: 30, 2: 1}),
        ("50%", {0: 350, 1: 148, 2: 2}),
        ("100%", {0: 700, 1: 295, 2: 5}),
        ("1", {0: 1, 1: 1, 2: 1}),
        ("4", {0: 4, 1: 4, 2: 4}),
        ("20", {0: 20, 1: 20, 2: 5}),
    ],
)
def test_each_class_has_its_share_or_number_and_at_least_one_sample(part, expected):
    chosen = choose(KEYS, LABELS, part, seed=0)
    assert counts(chosen) == expected
    assert chosen == sorted(set(chosen))


@pytest.mark.parametrize(("smaller", "larger"), [("1%", "10%"), ("10%", "50%"), ("0.1%", "1%"), ("4", "16")])
def test_parts_of_one_seed_are_nested(smaller, larger):
    for seed in range(3):
        assert set(choose(KEYS, LABELS, smaller, seed)) < set(choose(KEYS, LABELS, larger, seed))


def test_the_seed_chooses_and_the_order_of_the_samples_does_not():
    chosen = choose(KEYS, LABELS, "1%", seed=0)
    assert chosen == choose(KEYS, LABELS, "1%", seed=0)
    assert chosen != choose(KEYS, LABELS, "1%", seed=1)
    backwards = choose(KEYS[::-1], LABELS[::-1], "1%", seed=0)
    assert {KEYS[::-1][i] for i in backwards} == {KEYS[i] for i in chosen}


def test_of_several_labels_the_rarest_counts_and_every_class_is_there():
    rng = np.random.default_rng(0)
    labels = [rng.permutation(np.array([1, 0, 0, -1], np.int8)) for _ in range(400)]
    for i, label in enumerate(labels):
        label[0] = i % 2
    labels += [np.zeros(4, np.int8)] * 100  # shows nothing
    keys = [str(i) for i in range(500)]
    total = np.array(class_counts(labels, np.arange(500, dtype=np.int32), 4))
    previous: set[int] = set()
    for part, share in (("1%", 0.01), ("10%", 0.1), ("50%", 0.5)):
        chosen = choose(keys, labels, part, seed=3)
        assert len(chosen) == pytest.approx(500 * share, abs=3)
        found = np.array(class_counts(labels, np.array(chosen, np.int32), 4))
        assert (found >= 1).all()
        np.testing.assert_allclose(found, total * share, atol=0.2 * 500 * share + 2)
        assert previous < set(chosen)
        previous = set(chosen)
    assert sum(not (labels[i] == 1).any() for i in chosen) == sum(not (label == 1).any() for label in labels) // 2


def test_without_labels_a_share_of_the_pictures_is_taken():
    assert len(choose(KEYS, None, "10%", seed=0)) == 100
    assert len(choose(KEYS[:3], None, "1%", seed=0)) == 1
    assert choose([], None, "10%", seed=0) == []


class Named(Split):
    """Samples 0 to 19 of two classes, which count how often their picture is opened."""

    def __init__(self, fields) -> None:
        self.fields, self.opened = fields, 0

    @property
    def keys(self):
        return KEYS[:20]

    def __getitem__(self, index: int) -> Sample:
        if "image" in self.fields:
            self.opened += 1
        elif index == 13:
            raise BrokenSample(KEYS[13], "no label")
        return {"label": np.array(index % 2)}

    def size(self, index: int) -> tuple[int, ...]:
        return (index, index)

    def small(self, index: int, at_least: int) -> np.ndarray:
        return np.array([index])


class Files(Dataset):
    """A set whose labels can be had without pictures."""

    name = "files"

    def __init__(self) -> None:
        super().__init__(DatasetOptions())
        self.whole = Named(("image", "label"))

    def card(self, fields=("image",)) -> DataCard:
        return DataCard(
            name="files",
            title="files",
            fields=("image", "label"),
            channels=1,
            size=(8, 8),
            mean=(0.5,),
            std=(0.5,),
            classes=("even", "odd"),
            class_counts=(10, 10),
            split_sizes={"train": 20, "val": 3},
            split_origin="made up",
        )

    def split(self, name, fields=("image",)) -> Split:
        return self.whole if "image" in fields else Named(fields)


def test_labels_are_read_without_opening_a_picture_and_the_card_tells_of_what_is_left():
    dataset = Files()
    few = training_part(dataset, dataset.card(), ("image", "label"), "2", seed=0)
    assert dataset.whole.opened == 0
    assert len(few.split) == 4
    assert few.card.class_counts == (2, 2)
    assert few.card.split_sizes == {"train": 4, "val": 3}
    assert few.card.mean == (0.5,)
    assert few.description == "4 of 20 training samples, chosen by seed 0, 2 of each class"
    assert KEYS[13] not in training_part(dataset, dataset.card(), ("image", "label"), "10", 0).split.keys


def test_a_view_is_its_samples_in_order():
    part = Named(("image", "label")).view([3, 8])
    assert (list(part.keys), len(part)) == ([KEYS[3], KEYS[8]], 2)
    assert [int(part[i]["label"]) for i in range(2)] == [1, 0]
    assert (part.size(1), part.small(1, 5).tolist()) == ((8, 8), [8])


def test_what_lies_in_memory_stays_there():
    split = TensorSplit({"image": torch.arange(20).reshape(20, 1, 1, 1), "label": torch.arange(20) % 2}, KEYS[:20])
    dataset = Files()
    dataset.whole = split
    assert labels_by_key(dataset, "train", split)[KEYS[3]] == 1
    few = training_part(dataset, dataset.card(), ("image", "label"), "10%", seed=0).split
    assert isinstance(few, TensorSplit)
    assert sorted(few.tensors["label"].tolist()) == [0, 1]
    assert [KEYS.index(key) for key in few.keys] == few.tensors["image"].flatten().tolist()


def test_everything_is_everything():
    dataset = Files()
    card = dataset.card()
    few = training_part(dataset, card, ("image", "label"), "100%", seed=0)
    assert few.split is dataset.whole
    assert few.card is card
    assert few.description == "all 20 training samples"


def test_masks_are_a_share_of_the_pictures():
    dataset = shapes(num_train=30)
    few = training_part(dataset, dataset.card(), ("image", "mask"), "10%", seed=0)
    assert (len(few.split), few.card.split_sizes["train"], few.card.class_counts) == (3, 3, ())
    with pytest.raises(SpecError) as caught:
        training_part(dataset, dataset.card(), ("image", "mask"), "4", 0, "segment")
    assert str(caught.value) == (
        "data.labels (4) counts samples per class, and those of segment have no single class; give a share such as 10%"
    )


def test_what_learns_without_labels_has_no_part_of_them():
    dataset = shapes()
    with pytest.raises(SpecError) as caught:
        training_part(dataset, dataset.card(), ("image",), "10%", 0, "reconstruct")
    assert str(caught.value) == (
        "data.labels (10%) is a part of the labels, and reconstruct learns without them; leave it out"
    )
