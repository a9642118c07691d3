from __future__ import annotations

from collections import Counter

import pytest

from maecli.data.splits import cut, place
from maecli.data.stratify import bring_home, deal, fill_empty, make_units


def members(parts):
    return [sorted(i for unit in part for i in unit.members) for part in parts]


def units_of(classes, groups=None):
    return make_units([f"{i}.png" for i in range(len(classes))], classes, groups, place)


def test_each_part_has_its_share_of_every_class_though_samples_have_several():
    classes = [{"sky", *(["cat"] if i % 4 == 0 else []), *(["dog"] if i % 10 == 0 else [])} for i in range(100)]
    parts = members(deal(units_of(classes), (0.8, 0.1, 0.1)))
    assert sorted(i for part in parts for i in part) == list(range(100))
    counts = [Counter(label for i in part for label in classes[i]) for part in parts]
    assert [count["dog"] for count in counts] == [8, 1, 1]
    assert [abs(count["cat"] - exact) <= 1 for count, exact in zip(counts, (20, 2.5, 2.5), strict=True)] == [True] * 3
    assert [abs(len(part) - exact) <= 2 for part, exact in zip(parts, (80, 10, 10), strict=True)] == [True] * 3


@pytest.mark.parametrize(("num", "where"), [(1, [1, 0, 0]), (2, [2, 0, 0]), (6, [5, 1, 0]), (10, [8, 1, 1])])
def test_a_class_of_few_samples_is_in_train_first(num, where):
    labels = [{"all", "rare"} if i < num else {"all"} for i in range(100)]
    keys = [f"{i}.png" for i in range(100)]
    parts = cut(keys, val_share=0.1, test_share=0.1, labels=labels)
    assert [sum(i < num for i in parts[name]) for name in ("train", "test", "val")] == where
    assert [len(parts[name]) for name in ("train", "test", "val")] == [80, 10, 10]


def test_folds_differ_by_one_sample_of_each_class_at_most():
    classes = [{i % 3} for i in range(31)]
    parts = members(deal(units_of(classes), [1 / 5] * 5))
    for number in range(3):
        counts = [sum(i % 3 == number for i in part) for part in parts]
        assert max(counts) - min(counts) <= 1
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_group_is_never_divided_and_large_ones_do_not_pile_up():
    groups = [f"patient {i}" for i in (0,) * 10 + (1,) * 10 + tuple(range(2, 22))]
    parts = members(deal(units_of([{i % 2} for i in range(40)], groups), [0.5, 0.5]))
    assert not {groups[i] for i in parts[0]} & {groups[i] for i in parts[1]}
    assert [len(part) for part in parts] == [20, 20]


def test_the_order_of_the_list_does_not_matter():
    classes = [{"sky", i % 7} for i in range(50)]
    keys = [f"{i}.png" for i in range(50)]
    forwards = cut(keys, val_share=0.2, test_share=0.2, labels=classes)
    backwards = cut(keys[::-1], val_share=0.2, test_share=0.2, labels=classes[::-1])
    assert {n: {keys[i] for i in ids} for n, ids in forwards.items()} == {
        n: {keys[::-1][i] for i in ids} for n, ids in backwards.items()
    }


def test_a_class_that_is_elsewhere_alone_is_brought_to_train():
    units = units_of([{"a"}, {"a", "b"}, {"a", "b"}])
    parts = [[unit for unit in units if unit.members == [0]], [unit for unit in units if unit.members != [0]]]
    bring_home(parts)
    assert [len(part) for part in parts] == [2, 1]


def test_three_samples_are_enough_for_three_parts():
    units = units_of([{"a", "b"}, {"a"}, {"a"}])
    parts = [list(units), [], []]
    fill_empty(parts, (0.8, 0.1, 0.1))
    assert [len(part) for part in parts] == [1, 1, 1]
    assert members(parts)[0] == [0], "the one sample of b stays"
