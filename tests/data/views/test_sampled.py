"""Some samples stand for all of a very large data set."""

from __future__ import annotations

from toy_dataset import shapes

from maecli.data.splits import place
from maecli.data.views import sampled
from maecli.data.views.sampled import SampledSplits


def test_of_each_split_the_same_share_is_looked_at_whatever_is_asked(monkeypatch):
    monkeypatch.setattr(sampled, "LEAST", 2)
    dataset = shapes(40, 20, 4)
    some = SampledSplits(dataset, 16)
    sizes = {name: len(some.split(name)) for name in ("train", "val", "test")}
    assert sizes == {"train": 10, "val": 5, "test": 2}
    train = some.split("train")
    assert set(train.keys) < set(dataset.split("train").keys)
    assert list(some.split("train", ("label",)).keys) == list(train.keys)
    assert list(SampledSplits(dataset, 16).split("train").keys) == list(train.keys)
    assert some.card().split_sizes == dataset.card().split_sizes
    assert some.card().notes[-1] == "17 of 64 were looked at, chosen by the fixed seed"


def test_what_is_looked_at_follows_another_order_than_cuts(monkeypatch):
    """Else it would be what cuts took last, of which some classes have more than others."""
    monkeypatch.setattr(sampled, "LEAST", 2)
    dataset = shapes(40, 20, 4)
    keys = dataset.split("train").keys
    first = sorted(keys, key=place)[:10]
    assert set(SampledSplits(dataset, 16).split("train").keys) != set(first)


def test_fewer_samples_than_are_asked_for_are_all_looked_at():
    dataset = shapes()
    assert list(SampledSplits(dataset, 100).split("train").keys) == list(dataset.split("train").keys)
