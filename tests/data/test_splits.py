from __future__ import annotations

from collections import Counter

import pytest

from maecli.data.splits import check_shares, cut, place, places
from maecli.errors import SpecError

KEYS = [f"{i}.png" for i in range(100)]
LABELS = [0] * 70 + [1] * 20 + [2] * 10


def members(keys, parts):
    return {name: {keys[i] for i in ids} for name, ids in parts.items()}


def test_a_cut_divides_everything_once_by_the_shares():
    parts = cut(KEYS, val_share=0.1, test_share=0.25)
    assert {name: len(ids) for name, ids in parts.items()} == {"train": 65, "val": 10, "test": 25}
    assert sorted(i for ids in parts.values() for i in ids) == list(range(100))


def test_each_class_gets_its_share():
    parts = cut(KEYS, val_share=0.1, test_share=0.2, labels=LABELS)
    assert Counter(LABELS[i] for i in parts["val"]) == {0: 7, 1: 2, 2: 1}
    assert Counter(LABELS[i] for i in parts["test"]) == {0: 14, 1: 4, 2: 2}


def test_remainders_add_up_to_the_share_of_the_whole():
    labels = [i % 5 for i in range(15)]  # three of each class: a tenth of a class is less than one sample
    parts = cut(KEYS[:15], val_share=0.2, test_share=0.2, labels=labels)
    assert (len(parts["val"]), len(parts["test"])) == (3, 3)


def test_the_order_of_the_list_does_not_matter():
    forwards = members(KEYS, cut(KEYS, val_share=0.1, test_share=0.1, labels=LABELS))
    keys, labels = KEYS[::-1], LABELS[::-1]
    assert members(keys, cut(keys, val_share=0.1, test_share=0.1, labels=labels)) == forwards


def test_another_file_moves_at_most_one_other_per_split():
    before = members(KEYS, cut(KEYS, val_share=0.1, test_share=0.1))
    keys = [*KEYS, "new.png"]
    after = members(keys, cut(keys, val_share=0.1, test_share=0.1))
    assert len(before["test"] - after["test"]) <= 1
    assert len(before["val"] - after["val"]) <= 2  # one of its own, one that test gave back


def test_the_seed_changes_the_cut():
    assert cut(KEYS, val_share=0.1, seed=0) != cut(KEYS, val_share=0.1, seed=1)


def test_the_order_of_keys_is_the_same_in_every_version():
    assert sorted(["a", "b", "c", "d"], key=place) == ["d", "a", "b", "c"]


@pytest.mark.parametrize("labels", [None, [i // 50 for i in range(100)]])
def test_a_group_never_falls_into_two_splits(labels):
    groups = [f"patient {i // 4}" for i in range(100)]
    parts = cut(KEYS, val_share=0.1, test_share=0.2, labels=labels, groups=groups)
    found = {name: {groups[i] for i in ids} for name, ids in parts.items()}
    assert not found["train"] & found["val"] | found["train"] & found["test"] | found["val"] & found["test"]
    assert 8 <= len(parts["val"]) <= 12
    assert 16 <= len(parts["test"]) <= 24


def test_samples_without_a_group_stand_alone():
    groups = ["baselines", "baselines"] + [None] * 98
    parts = cut(KEYS, val_share=0.1, test_share=0.1, groups=groups)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [80, 10, 10]


def test_groups_too_large_for_a_share_still_fill_each_split():
    groups = [str(i // 20) for i in range(100)]  # five groups of 20, and a tenth is 10
    parts = cut(KEYS, val_share=0.1, test_share=0.1, groups=groups)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [60, 20, 20]


@pytest.mark.parametrize(("num", "sizes"), [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [2, 0, 0]), (3, [1, 1, 1])])
def test_three_samples_are_enough_for_three_splits(num, sizes):
    parts = cut(KEYS[:num], val_share=0.1, test_share=0.1)
    assert [len(parts[name]) for name in ("train", "val", "test")] == sizes


def test_a_share_of_nothing_is_nothing():
    assert len(cut(KEYS, val_share=0.0)["train"]) == 100


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.1)])
def test_shares_must_leave_something_for_train(shares):
    with pytest.raises(ValueError, match="must not be negative and must leave some for train"):
        cut(KEYS, val_share=shares[0], test_share=shares[1])


def test_options_that_leave_nothing_for_train_are_refused_by_their_names():
    check_shares(0.5, 0.25)
    with pytest.raises(SpecError, match=r"dataset\.val_share \(0\.5\) and dataset\.test_share \(0\.5\) must add up"):
        check_shares(0.5, 0.5)


def test_keys_must_be_unique():
    with pytest.raises(ValueError, match="keys must be unique"):
        cut(["a", "a"], val_share=0.1)


@pytest.mark.parametrize("labels", [None, [i % 3 for i in range(50)], [None if i % 5 else i % 2 for i in range(50)]])
def test_samples_without_groups_are_cut_as_groups_of_one_are(labels):
    keys = [f"{i:03d}" for i in range(50)]
    options = {"val_share": 0.13, "test_share": 0.21, "labels": labels, "seed": 3}
    assert cut(keys, **options) == cut(keys, groups=keys, **options)
    few = {"val_share": 0.4, "labels": labels and labels[:4]}
    assert cut(keys[:4], **few) == cut(keys[:4], groups=keys[:4], **few)


def test_places_of_many_keys_are_in_the_order_of_each():
    keys = [f"{i}" for i in range(100)]
    line = places(keys, seed=5).tolist()
    assert sorted(keys, key=lambda key: place(key, 5)) == sorted(keys, key=lambda key: line[int(key)])
