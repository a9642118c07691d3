"""Keys of very many samples."""

from __future__ import annotations

import pickle

import numpy as np

from maecli.data.views.keys import AT_ONCE, Keys, are_sorted, first_of_each, num_bytes

TEXTS = ["a/b.png", "", "ä\udcff", "c" * 300]


def test_keys_are_the_texts_that_were_put_in():
    keys = Keys.of(TEXTS)
    assert len(keys) == 4
    assert list(keys) == TEXTS
    assert [keys[i] for i in range(4)] == TEXTS
    assert keys[-1] == TEXTS[-1]
    assert list(pickle.loads(pickle.dumps(keys))) == TEXTS
    assert "a/b.png" in keys
    assert "b" not in keys
    assert list(Keys.of([])) == []
    assert keys == TEXTS
    assert keys != [*TEXTS[1:], "x"]
    assert keys != TEXTS[1:]


def test_parts_of_keys_are_keys():
    keys = Keys.of(map(str, range(3 * AT_ONCE)))
    assert list(keys.take([5, 2, 5])) == ["5", "2", "5"]
    assert list(keys[10:14:2]) == ["10", "12"]
    assert list(keys) == [str(i) for i in range(3 * AT_ONCE)]
    assert list(keys.take([])) == []


def test_keys_are_compared_by_themselves():
    assert are_sorted(Keys.of(["a", "a", "ä"]))
    assert not are_sorted(Keys.of(["b", "a"]))
    assert first_of_each(Keys.of(["b", "a", "b", "ä", "a"])).tolist() == [0, 1, 3]
    assert list(Keys.of(["ä/b", "c"]).behind(np.array([num_bytes("ä/"), 0]))) == ["b", "c"]


def test_parts_of_the_same_keys_are_joined_without_their_texts_being_copied():
    keys = Keys.of(["a", "ä", "c", "d"])
    joined = Keys.joined([keys.take([3, 0]), [], keys.take([1])])
    assert list(joined) == ["d", "a", "ä"]
    assert joined._texts is keys._texts
    assert list(Keys.joined([keys.take([2]), Keys.of(["e"]), ["f"]])) == ["c", "e", "f"]
    assert list(Keys.joined([])) == []
