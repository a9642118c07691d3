"""A data set that is seen through another."""

from __future__ import annotations

from toy_dataset import shapes

from maecli.data.views.wrapped import WrappedDataset


def test_what_is_not_changed_is_the_answer_of_the_data_set_within():
    dataset, said = shapes(8, 4, 4), list[str]()
    wrapped = WrappedDataset(dataset.told_by(said.append))
    assert (wrapped.name, wrapped.root, wrapped.options) == (dataset.name, dataset.root, dataset.options)
    assert wrapped.card() == dataset.card()
    assert list(wrapped.split("val").keys) == list(dataset.split("val").keys)
    assert (wrapped.given_splits(), wrapped.groups()) == (dataset.given_splits(), dataset.groups())
    assert [*wrapped.faults()] == [*dataset.faults()]
    assert [*wrapped.all_faults()] == [*dataset.all_faults()]
    wrapped.say("half of it")
    assert said == ["half of it"]
