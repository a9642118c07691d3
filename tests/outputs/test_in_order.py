from __future__ import annotations

import pytest

from maecli.outputs import in_order
from maecli.outputs.in_order import InOrder

KEYS = ["a", "b", "c", "d", "e"]


def test_values_come_in_the_order_of_their_keys_as_soon_as_they_can():
    ordered: InOrder[int] = InOrder(KEYS)
    assert list(ordered.settle("c", 3)) == []
    assert list(ordered.settle("a", 1)) == [1]
    assert list(ordered.settle("b", 2)) == [2, 3]
    assert list(ordered.settle("d", 4)) == [4]
    assert list(ordered.settle("e", 5)) == [5]
    assert list(ordered.rest()) == []


def test_a_key_without_a_value_holds_nobody_up():
    ordered: InOrder[int] = InOrder(KEYS)
    assert list(ordered.settle("b", 2)) == []
    assert list(ordered.settle("a", None)) == [2]


def test_what_waits_for_a_key_that_never_comes_is_there_at_the_end():
    ordered: InOrder[int] = InOrder(KEYS)
    for key, value in (("d", 4), ("c", 3), ("strange", 9)):
        assert list(ordered.settle(key, value)) == []
    assert list(ordered.rest()) == [3, 4, 9]


@pytest.mark.parametrize("most", [2, 10])
def test_no_more_than_so_many_wait(monkeypatch, most):
    monkeypatch.setattr(in_order, "MOST_WAITING", most)
    ordered: InOrder[int] = InOrder([str(i) for i in range(100)])
    seen = [value for i in range(1, 100) for value in ordered.settle(str(i), i)]
    assert seen == list(range(1, 100))
