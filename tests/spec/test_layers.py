from __future__ import annotations

import pytest

from maecli.errors import SpecError
from maecli.spec.layers import Layer, difference, flatten, merge, nest


def test_flattening_and_nesting_are_inverse():
    tree = {"a": {"b": 1, "c": {"d": [1, {"e": 2}]}}, "f": None}
    flat = {"a.b": 1, "a.c.d": [1, {"e": 2}], "f": None}
    assert flatten(tree) == flat
    assert nest(flat) == tree


@pytest.mark.parametrize(
    "tree", [{"a.b": 1, "a": {"b": 2}}, {"a": {"b": 1}, "a.b": 2}, {"a": {"b": 1}, "a.b": 2, "c": 3}]
)
def test_a_key_that_stands_with_dots_and_in_a_section_is_refused(tree):
    with pytest.raises(SpecError) as caught:
        flatten(tree)
    assert str(caught.value) == "the key a.b is given twice, with dots and in a section: 1 and 2; keep one of them"


def test_a_layer_that_names_another_plugin_drops_the_options_of_the_first():
    settings, sources = merge(
        [
            Layer("low", {"model.name": "a", "model.width": 3, "seed": 1}),
            Layer("same", {"model.name": "a", "model.depth": 2}),
            Layer("other", {"model.name": "b", "model.height": 4}),
        ]
    )
    assert settings == {"model.name": "b", "model.height": 4, "seed": 1}
    assert sources == {"model.name": "other", "model.height": "other", "seed": "low"}


def test_a_layer_without_a_name_keeps_the_options():
    settings, _ = merge([Layer("low", {"model.name": "a", "model.width": 3}), Layer("top", {"model.depth": 2})])
    assert settings == {"model.name": "a", "model.width": 3, "model.depth": 2}


@pytest.mark.parametrize("chosen", ["digits", 5, ["digits"]])
def test_a_plugin_section_is_more_than_a_name(chosen):
    with pytest.raises(SpecError) as caught:
        merge([Layer("--set", {"dataset": chosen})])
    assert str(caught.value) == f"--set: dataset is a section; write dataset.name: {chosen}"


def test_the_difference_of_two_specs_names_keys_and_values():
    old = {"train": {"epochs": 2, "beta1": 0.9}, "out": "a", "init": None}
    new = {"train": {"epochs": 3, "beta1": 0.9}, "out": "b", "seed": 1}
    assert difference(old, new, frozenset({"out"})) == ["seed: not set -> 1", "train.epochs: 2 -> 3"]
