"""What very many keys have, held as arrays."""

from __future__ import annotations

import pickle

import pytest

from maecli.data.views import by_key
from maecli.data.views.by_key import ByKey, Positions
from maecli.data.views.keys import Keys

KEYS = Keys.of(["a", "b/ä", "c", "d"])
LABELS = {"a": "cat", "c": "dog", "d": "cat"}


def test_positions_are_those_of_the_keys_and_the_last_of_equal_ones_counts():
    positions = Positions(Keys.of(["a", "b", "a", "c"]))
    assert positions.find(["c", "x", "a", "b"]).tolist() == [3, -1, 2, 1]
    assert [positions.of(key) for key in ("a", "x")] == [2, -1]
    assert [positions.all_of(key) for key in ("a", "x")] == [[0, 2], []]
    assert Positions(Keys.of([])).find(["a"]).tolist() == [-1]


def test_many_keys_are_looked_for_in_parts(monkeypatch):
    monkeypatch.setattr(by_key, "SOUGHT_AT_ONCE", 2)
    assert Positions(KEYS).find(["d", "x", "a", "c", "b/ä"]).tolist() == [3, -1, 0, 2, 1]
    assert Positions(KEYS).find([]).tolist() == []


def test_texts_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(by_key, "hash", len, raising=False)
    positions = Positions(Keys.of(["aa", "b", "c"]))
    assert positions.find(["b", "c", "d", "aa"]).tolist() == [1, 2, -1, 0]


def test_it_is_the_mapping_that_it_was_made_of():
    labels = ByKey.gathered(KEYS, LABELS)
    assert labels == LABELS
    assert (len(labels), list(labels), list(labels.values())) == (3, [*LABELS], [*LABELS.values()])
    assert list(labels.items()) == [*LABELS.items()]
    assert ("c" in labels, "b/ä" in labels, labels.get("x"), labels["d"]) == (True, False, None, "cat")
    with pytest.raises(KeyError):
        labels["b/ä"]
    assert pickle.loads(pickle.dumps(labels)) == LABELS
    assert not ByKey.gathered(Keys.of([]), {})


def test_many_keys_are_looked_up_at_once():
    labels = ByKey.gathered(KEYS, LABELS)
    assert labels.codes_of(["d", "x", "b/ä", "c"]).tolist() == [0, -1, -1, 1]
    assert ByKey.gathered(Keys.of(["c", "x"]), labels) == {"c": "dog"}
    assert ByKey.gathered(KEYS, labels) is labels


def test_values_are_renamed_and_joined_and_others_are_added():
    labels = ByKey.gathered(KEYS, LABELS)
    assert labels.renamed({"cat": "pet", "dog": "pet"}).used == ("pet",)
    assert labels.updated({"b/ä": "cow", "a": "dog"}) == {"a": "dog", "b/ä": "cow", "c": "dog", "d": "cat"}
    assert labels.updated({"a": "dog", "d": "dog"}).used == ("dog",)
